"""A study of speech that is not at hand: planned and priced, never run."""

from pathlib import Path

import pytest
from small_study import StudyWriter

from scaling.errors import InputError
from scaling.ledger.ledger import Ledger
from sweeps.costs.cost_estimate import estimate_cost
from sweeps.costs.tariff import tariff_of
from sweeps.plan.prepare import prepare
from sweeps.plan_report import plan_document, plan_text
from sweeps.run.run import train
from sweeps.study.study import load_study

ASSUMED = {"assumed": {"hours": 100.0, "mean_seconds": 3.0, "spread": 0.4, "characters_per_second": 4.0}}


def test_the_paper_s_study_is_planned_and_priced_without_audio_or_weights() -> None:
    prepared = prepare("efin_paper", [], None)
    costs = estimate_cost(prepared, None, tariff_of("h100-sxm", None, None), 64)
    document = plan_document(prepared, costs)
    budgets = prepared.study.budgets_flops
    assert budgets[-1] / budgets[0] == pytest.approx(1000)
    assert document["n_runs"] == len(budgets) * 2 * 8 * 3
    assert document["data"]["train_hours"] == 10_000
    assert max(run["epochs"] for run in document["runs"]) < 4
    assert min(stage.steps for run in document["runs"] for stage in run["stages"]) > 10
    assert document["usd"] > 0
    text = plan_text(prepared, costs)
    assert "assumption: lengths of the training speech" in text
    assert "assumption: tokens are counted from characters: no tokenizer of Qwen2.5-0.5B" in text


def test_the_7b_study_says_what_takes_the_memory() -> None:
    prepared = prepare("efin_paper_7b", [], None)
    costs = estimate_cost(prepared, None, tariff_of("h200", None, None), 16)
    (memory,) = plan_document(prepared, costs)["memory"]
    assert memory["stage"] == "joint"
    assert memory["weights"] > 2 * 7.6e9  # the frozen LLM in bf16
    assert memory["sharded_total"] < memory["total"]
    assert "memory of a worker on whisper-large-v3 + Qwen2.5-7B" in plan_text(prepared, costs)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (["gradient_accumulation=8"], ("memory of a worker on", "of one of 8 pieces)", "if 8 devices shared one run")),
        (["gradient_checkpointing=true"], ("memory of a worker on", "recomputed layer by layer)")),
        (["processes=4"], ("memory of each of a worker's 4 devices on", "Qwen2.5-7B: at most")),
        (["processes=4", "shard=true"], ("each of a worker's 4 devices on", ", a share of the LLM on each: at most")),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else "",
)
def test_memory_is_that_of_a_device_as_the_study_uses_it(fields: list[str], words: tuple[str, ...]) -> None:
    plain, thrifty = (prepare("efin_paper_7b", ["gradient_accumulation=1", *sets], None) for sets in ([], fields))
    costs = [estimate_cost(prepared, None, tariff_of("h200", None, None), 16) for prepared in (plain, thrifty)]
    (before,), (after,) = (plan_document(*both)["memory"] for both in zip((plain, thrifty), costs, strict=True))
    assert after["total"] < 0.7 * before["total"]
    (line,) = (line for line in plan_text(thrifty, costs[1]).splitlines() if line.startswith("memory of "))
    assert all(word in line for word in words)
    assert ("if 8 devices" in line) == (thrifty.study.processes == 1)


def test_assumed_speech_is_never_trained_on(write_study: StudyWriter, surroundings: Path, tmp_path: Path) -> None:
    data = {"train": ASSUMED, "dev": str(surroundings / "dev.jsonl"), "test": {"clean": ASSUMED}}
    ledger = Ledger(tmp_path / "out")
    prepared = prepare(str(write_study(data=data)), [], ledger)
    with pytest.raises(InputError, match=r"data\.train, data\.test\.clean: lengths are assumed; expected manifests"):
        train(prepared, tmp_path / "out", ledger, 1)
    assert not (tmp_path / "out").exists()


def test_a_manifest_replaces_what_was_assumed(write_study: StudyWriter, surroundings: Path) -> None:
    data = {"train": ASSUMED, "dev": ASSUMED, "test": {"clean": ASSUMED}}
    sets = [f"data.{name}={surroundings / file}" for name, file in MANIFESTS.items()]
    assert load_study(str(write_study(data=data)), sets).speech.spec == load_study(str(write_study())).speech.spec


MANIFESTS = {"train": "train.jsonl", "dev": "dev.jsonl", "test.clean": "test.jsonl"}


def test_hours_cap_what_is_assumed(write_study: StudyWriter) -> None:
    data = {"train": ASSUMED, "dev": ASSUMED, "test": {"clean": ASSUMED}}
    assert load_study(str(write_study(data=data, hours=20.0))).speech.train.hours == 20.0
    assert load_study(str(write_study(data=data, hours=200.0))).speech.train.hours == 100.0


@pytest.mark.parametrize(
    ("assumed", "message"),
    [
        ({"hours": 100.0}, r"data\.train\.assumed\.mean_seconds: this field is required"),
        ({**ASSUMED["assumed"], "hours": -1}, r"data\.train\.assumed\.hours"),
        ({**ASSUMED["assumed"], "houres": 1}, r"houres"),
    ],
)
def test_a_wrong_assumption_is_named(assumed: object, message: str, write_study: StudyWriter) -> None:
    data = {"train": {"assumed": assumed}, "dev": ASSUMED, "test": {"clean": ASSUMED}}
    with pytest.raises(InputError, match=message):
        load_study(str(write_study(data=data)))
