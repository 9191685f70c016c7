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
try:
    main()
except SystemExit as end:
    code = end.code
heavy = [name for name in {heavy!r} if name in sys.modules]
print(json.dumps([code, heavy]), file=sys.stderr)
"""


def modules_after(arguments: list[str], cache: Path) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", REPORT.format(heavy=HEAVY), *arguments],
        env={**os.environ, "ASR_SCALING_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    code, heavy = json.loads(done.stderr.splitlines()[-1])
    assert code in (0, None), done.stderr
    return code, heavy


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


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", "--help"],
        ["run", "--help"],
        ["fit", "DIR"],
        ["predict", "DIR", "--flops", "1e13"],
        ["recommend", "DIR", "--flops", "1e13"],
        ["compare", "DIR", "--baseline", "joint"],
        [
            *("flops", "--encoder", "whisper-tiny", "--llm", "Qwen2.5-0.5B", "--strategy", "efin"),
            *("--audio-seconds", "5", "--text-tokens", "20"),
        ],
    ],
    ids=lambda arguments: arguments[0],
)
def test_asking_imports_no_trainer_and_no_tracker(arguments: list[str], folder: Path) -> None:
    asked = [str(folder) if argument == "DIR" else argument for argument in arguments]
    assert modules_after(asked, folder / "cache")[1] == []


def test_planning_and_simulating_import_no_trainer_and_no_tracker(folder: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    for name, length in {"train": 9000, "test": 8000}.items():
        soundfile.write(folder / f"{name}.wav", [0.1] * length, 16_000)
        (folder / f"{name}.jsonl").write_text(json.dumps({"audio_filepath": f"{name}.wav", "text": "a word"}) + "\n")
    data = json.dumps(
        {"train": f"{folder}/train.jsonl", "dev": f"{folder}/test.jsonl", "test": {"t": f"{folder}/test.jsonl"}}
    )
    changes = ["--set", f"data={data}", "--set", "models=[{encoder: whisper-tiny, llm: Qwen2.5-0.5B}]"]
    changes += ["--set", "budgets_flops=[1e15]"]
    assert modules_after(["plan", "simulated", *changes], folder / "cache")[1] == []
    simulation = ["run", "simulated", "--simulate", "--out", str(folder / "simulated"), *changes]
    assert modules_after(simulation, folder / "cache")[1] == []


NEEDED = "import numpy, typer; from pydantic import BaseModel"


@pytest.mark.parametrize("arguments", [["--help"], ["plan", "--help"], ["predict", "DIR", "--flops", "1e13"]])
def test_the_front_door_takes_little_more_than_the_imports_it_cannot_do_without(
    arguments: list[str], folder: Path, tmp_path: Path
) -> None:
    """Processor time, the sides in turns; seconds are for `bench_plan.py`. Twice as much was measured; pandas or torch
    would take it over."""
    asked = [str(folder) if argument == "DIR" else argument for argument in arguments]
    programs = {"needed": [NEEDED], "asked": ["from scaling.cli import main; main()", *asked]}
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(4):  # the first warms the disk's cache, the store of fits and that of compiled modules
        for name, program in programs.items():
            before = os.times()
            subprocess.run([sys.executable, "-c", *program], env=environment, check=True, capture_output=True)
            after = os.times()
            seconds[name].append(
                after.children_user + after.children_system - before.children_user - before.children_system
            )
    assert min(seconds["asked"]) < 3 * min(seconds["needed"]), seconds


def test_the_packages_import_each_other_only_as_agreed() -> None:
    program = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("import-linter is not installed")
    root = Path(__file__).parent.parent
    done = subprocess.run([program, "--no-cache"], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
