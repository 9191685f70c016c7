"""The reference study's own commands: the steps of `make study`, and `make study-gpu` on the CPU with minis."""

import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from scaling.ledger.records import RUNS_FILE
from scaling.speech.synthetic.corpus_files import write_corpus
from scaling.speech.synthetic.recipes import RECIPES
from scaling.system.json_files import read_json_lines

ROOT = Path(__file__).parents[1]
MINIS = ROOT / "scaling/minis"
TABLES = Path("results/reference")
RESULTS = ROOT / TABLES
PROGRAM = ".venv/bin/asr-scaling"

AskCommand = Callable[..., subprocess.CompletedProcess[str]]


def _commands_of(target: str, **variables: object) -> list[list[str]]:
    """What the target gives to asr-scaling, a command a list."""
    given = [f"{name}={value}" for name, value in variables.items()]
    make = ["make", "--no-print-directory", "-n", target, *given]  # inside `make test` it would tell its folder, too
    recipe = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lines = [shlex.split(line) for line in recipe.replace("\\\n", "").splitlines()]
    return [line[line.index(PROGRAM) + 1 :] if PROGRAM in line else line for line in lines]


def test_a_block_becomes_a_part_of_its_study_after_it_was_merged_with_the_others() -> None:
    *_, train, merge, keep = _commands_of("study", STUDY="reference_noisy", SEED=1)
    block, parts = "build/reference/reference_noisy-seed1", sorted((RESULTS / "parts").glob("reference_noisy-*.jsonl"))
    assert train[:4] == ["run", "reference_noisy", "--out", block]
    assert merge == ["merge", *(str(part.relative_to(ROOT)) for part in parts), block, "--out", str(TABLES / "noisy")]
    assert keep[-3:] == ["cp", f"{block}/runs.jsonl", str(TABLES / "parts/reference_noisy-seed1.jsonl")]


@pytest.mark.slow
def test_the_study_of_an_accelerator_trains_on_the_cpu_with_minis_in_the_place_of_its_models(
    asr_scaling: AskCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("espeakng_loader", reason="the synthesiser is an optional extra: asr-scaling[synth]")
    speech = write_corpus(
        RECIPES["synthetic-en-digits"], tmp_path / "speech", hours=0.01, test_utterances=20
    ).train.parent
    models = tmp_path / "models"
    shutil.copytree(MINIS / "encoders/mini-s", models / "whisper-tiny.en")
    shutil.copytree(MINIS / "llms/mini-s", models / "smollm2-135m")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").symlink_to(ROOT / "results")
    *_, arguments = _commands_of(
        "study-gpu", MODELS=models, SPEECH=speech, GPU_WORKERS=2, SET="budgets_flops=[1.2e10]"
    )  # 1.2e10 FLOPs: a few steps a stage
    said = asr_scaling(*arguments, "--set", "seeds=[0]")
    assert said.returncode == 0, said.stderr
    rows = [row for _, row in read_json_lines(tmp_path / "build/reference/gpu" / RUNS_FILE)]
    assert {row["strategy"]: row["status"] for row in rows} == dict.fromkeys(("efin", "joint", "frozen_encoder"), "ok")
    assert {row["precision"] for row in rows} == {"bf16"}
