"""From a study to an answer through the command line alone, on a planted law: what was planted is found."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
import soundfile

from sweeps.run.simulate import FLOPS_PER_PARAM, PLANTED

STRATEGIES = ("efin", "joint", "frozen_encoder")


Answers = Callable[..., Any]


@pytest.fixture(scope="module")
def answers(asr_scaling: Callable[..., CompletedProcess[str]]) -> Answers:
    """What the command line answers as JSON."""

    def ask(*arguments: str | Path) -> Any:
        done = asr_scaling(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return ask


@pytest.fixture(scope="module")
def study(answers: Answers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated study's folder."""
    folder = tmp_path_factory.mktemp("pipeline")
    rng = np.random.default_rng(0)
    for name, utterances in {"train": 60, "dev": 100, "test": 800}.items():
        (folder / name).mkdir()
        rows = []
        for number in range(utterances):
            soundfile.write(folder / name / f"{number}.wav", 0.1 * rng.standard_normal(8000 + number), 16_000)
            rows.append({"audio_filepath": f"{name}/{number}.wav", "text": "some words that are spoken here"})
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {split: f"{folder}/{split}.jsonl" for split in ("train", "dev")} | {
        "test": {"clean": f"{folder}/test.jsonl"}
    }
    changes = (
        *("--set", f"data={json.dumps(data)}"),
        *("--set", "models=[{encoder: whisper-tiny, llm: Qwen2.5-0.5B}]"),
        *("--set", "language=en"),
        *("--set", "budgets_flops=[5e13, 1e14, 2e14, 4e14, 8e14, 1.6e15, 3.2e15]"),
    )
    (folder / "changes.json").write_text(json.dumps(changes))
    answers("run", "simulated", "--simulate", "--out", folder / "out", *changes)
    return folder / "out"


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "runs.jsonl").read_text().splitlines()]


def planted(row: dict[str, Any], flops: float) -> float:
    params = row["encoder_params"] + row["llm_params"]
    return PLANTED[row["strategy"]].cer(flops / (FLOPS_PER_PARAM * params))


def test_the_table_holds_every_run_of_the_study(study: Path) -> None:
    table = rows(study)
    assert len(table) == 7 * 3 * 3
    assert {row["status"] for row in table} == {"ok"}


def test_the_fit_finds_the_planted_law(study: Path, answers: Answers) -> None:
    fits = {fit["strategy"]: fit for fit in answers("fit", study)["fits"]}
    assert fits.keys() == set(STRATEGIES)
    for strategy, fit in fits.items():
        row = next(row for row in rows(study) if row["strategy"] == strategy)
        for flops in (5e13, 4e14, 3.2e15):
            theta = fit["theta"]
            fitted = theta["E"] + theta["A"] * flops ** -theta["b"]
            assert fitted == pytest.approx(planted(row, flops), rel=0.06), (strategy, flops)
        assert fit["theta"]["b"] == pytest.approx(PLANTED[strategy].exponent, abs=0.15)


@pytest.mark.parametrize("device", ["cpu-core", "h100-sxm"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_plan_and_recommend_price_a_run_alike(study: Path, answers: Answers, strategy: str, device: str) -> None:
    changes = json.loads((study.parent / "changes.json").read_text())
    one_run = ("--set", "budgets_flops=[3.2e15]", "--set", f"strategies=[{strategy}]", "--set", "seeds=[0]")
    planned = answers("plan", "simulated", *changes, *one_run, "--hardware", device)
    cost = answers("recommend", study, "--flops", "3.2e15", "--strategy", strategy, "--hardware", device)["cost"]
    assert cost["device_hours"] == pytest.approx(planned["training_hours"], rel=0.02)  # a stage ends within a step
    over_steps_alone = cost["device_hours"] / (0.026 * cost["steps"] / 3600)
    assert over_steps_alone > 5 if device == "cpu-core" else over_steps_alone == pytest.approx(1.0)


def test_a_prediction_beyond_the_fit_covers_the_planted_error(study: Path, answers: Answers) -> None:
    for strategy in STRATEGIES:
        row = next(row for row in rows(study) if row["strategy"] == strategy)
        found = answers("predict", study, "--flops", "6.4e15", "--strategy", strategy)
        low, high = found["interval"]
        assert low <= planted(row, 6.4e15) <= high
        assert found["extrapolation"] == pytest.approx(2.0, rel=0.01)


def test_the_recommendation_is_the_strategy_that_was_planted_best(study: Path, answers: Answers) -> None:
    found = answers("recommend", study, "--flops", "3.2e15")
    best = min(rows(study), key=lambda row: planted(row, 3.2e15))
    assert planted(best, 3.2e15) == min(planted(row, 3.2e15) for row in rows(study))
    assert found["strategy"] in {
        row["strategy"] for row in rows(study) if planted(row, 3.2e15) <= 1.05 * planted(best, 3.2e15)
    }
