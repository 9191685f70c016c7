"""What may import what, and how fast the front door answers: seen from outside, in fresh processes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "peft", "wandb", "matplotlib")

REPORT = """
import json, sys
from scaling.cli import main
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["asr-scaling", *arguments]
    try:
        main()
    except SystemExit as end:
        assert end.code in (0, None), arguments
    heavy = [name for name in {heavy!r} if name in sys.modules]
    assert not heavy, f"{{arguments}} imports {{heavy}}"
"""


def assert_light(questions: list[list[str]], cache: Path) -> None:
    """Ask one after another in a fresh process, which tells the first that fails or imports what is heavy."""
    done = subprocess.run(
        [sys.executable, "-c", REPORT.format(heavy=HEAVY), json.dumps(questions)],
        env={**os.environ, "ASR_SCALING_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of runs to ask about."""
    path = tmp_path_factory.mktemp("architecture")
    table = []
    for strategy, scale in {"efin": 1.0, "joint": 1.3}.items():
        for step in range(8):
            flops = 1e11 * 2**step
            cer = scale * (0.02 + 0.4 * 2 ** (-0.7 * step))
            table.append(
                {
                    "schema": "asr-scaling/run-1",
                    "key": f"{strategy}{step}",
                    "study": "s",
                    "strategy": strategy,
                    "encoder": "e",
                    "llm": "l",
                    "budget_flops": flops,
                    "flops": flops,
                    "executed_flops": flops,
                    "cer": cer,
                    "dev_cer": cer,
                    "errors": round(1e4 * cer),
                    "ref_chars": 10_000,
                    "seed": 0,
                    "audio_seconds": flops / 1e8,
                    "unique_audio_seconds": flops / 1e8,
                    "pretrain_flops": 0,
                    "encoder_params": 1,
                    "asr_decoder_params": 1,
                    "llm_params": 1,
                    "n_utterances": 100,
                    "stages": [{"name": "all", "flops": flops, "audio_seconds": flops / 1e8}],
                    "status": "ok",
                }
            )
    (path / "runs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table))
    return path


def test_asking_imports_no_trainer_and_no_tracker(folder: Path) -> None:
    questions = [
        ["plan", "--help"],
        ["run", "--help"],
        ["fit", str(folder)],
        ["predict", str(folder), "--flops", "1e13"],
        ["recommend", str(folder), "--flops", "1e13"],
        ["compare", str(folder), "--baseline", "joint"],
        [
            *("flops", "--encoder", "whisper-tiny", "--llm", "Qwen2.5-0.5B", "--strategy", "efin"),
            *("--audio-seconds", "5", "--text-tokens", "20"),
        ],
    ]
    assert_light(questions, folder / "cache")


def test_planning_and_simulating_import_no_trainer_and_no_tracker(folder: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    for name, length in {"train": 9000, "test": 8000}.items():
        soundfile.write(folder / f"{name}.wav", [0.1] * length, 16_000)
        (folder / f"{name}.jsonl").write_text(json.dumps({"audio_filepath": f"{name}.wav", "text": "a word"}) + "\n")
    data = json.dumps(
        {"train": f"{folder}/train.jsonl", "dev": f"{folder}/test.jsonl", "test": {"t": f"{folder}/test.jsonl"}}
    )
    changes = ["--set", f"data={data}", "--set", "models=[{encoder: whisper-tiny, llm: Qwen2.5-0.5B}]"]
    changes += ["--set", "budgets_flops=[1e15]", "--set", "language=en"]
    simulation = ["run", "simulated", "--simulate", "--out", str(folder / "simulated"), *changes]
    assert_light([["plan", "simulated", *changes], simulation], folder / "cache")


NEEDED = "import numpy, typer; from pydantic import BaseModel"


def test_the_front_door_takes_little_more_than_the_imports_it_cannot_do_without(folder: Path, tmp_path: Path) -> None:
    """Processor time, the sides in turns; seconds are for `bench_plan.py`. Twice as much was measured; pandas or torch
    would take it over."""
    command = "from scaling.cli import main; main()"
    programs = {
        "needed": [NEEDED],
        "plan": [command, "plan", "--help"],
        "predict": [command, "predict", str(folder), "--flops", "1e13"],
    }
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(3):  # the first warms the disk's cache, the store of fits and that of compiled modules
        for name, program in programs.items():
            before = os.times()
            subprocess.run([sys.executable, "-c", *program], env=environment, check=True, capture_output=True)
            after = os.times()
            seconds[name].append(
                after.children_user + after.children_system - before.children_user - before.children_system
            )
    for asked in ("plan", "predict"):
        assert min(seconds[asked]) < 3 * min(seconds["needed"]), seconds


@pytest.mark.slow  # `make check` runs it, too
def test_the_packages_import_each_other_only_as_agreed() -> None:
    program = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("import-linter is not installed")
    root = Path(__file__).parent.parent
    done = subprocess.run([program, "--no-cache"], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_no_folder_of_the_product_holds_more_than_16_entries() -> None:
    """A folder is read by its listing: `__init__.py`, which tells what it holds, is not counted."""
    root = Path(__file__).parent.parent
    folders = [folder for name in ("scaling", "sweeps", "analysis") for folder in (root / name).glob("**/")]
    entries = {
        str(folder.relative_to(root)): {
            entry.name for entry in folder.iterdir() if not entry.name.startswith(("__", "."))
        }
        for folder in folders
        if "__pycache__" not in folder.parts
    }
    assert len(entries) > 30
    assert {folder: len(names) for folder, names in entries.items() if len(names) > 16} == {}
