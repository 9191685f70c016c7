"""What `plan --exact` says before anything is trained, and what the ledger says afterwards: the same integers."""

import json
from pathlib import Path

import pytest
from tiny_world import train_study, write_study, write_world

from scaling.ledger.ledger import Ledger
from sweeps.costs.exact_costs import exact_costs
from sweeps.plan.prepare import prepare

FIELDS = ("flops", "executed_flops", "cache_credited_flops", "steps", "audio_seconds")
STRATEGIES = ["efin", "staged_joint"]
"""Between them every set of parts that a stage of a preset trains."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Speech and models that can be trained."""
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"augmentation": {"speeds": [0.9, 1.0, 1.1]}},
        {"augmentation": {"masks": 2}},
        {"gradient_accumulation": 3, "gradient_checkpointing": True},
    ],
    ids=["plain", "speeds", "masks", "thrifty"],
)
def test_the_ledger_agrees_with_the_exact_plan_in_every_stage_of_every_run(world, tmp_path, changes):
    """Shared trunks and more than one epoch among them."""
    strategies, seeds = (["efin"], [0]) if changes else (STRATEGIES, [0, 1])
    fields = {"budgets_flops": [2e7, 4e7], "hours": 0.0005, **changes}
    study = write_study(world, **fields, strategies=strategies, seeds=seeds)
    costs = exact_costs(prepare(str(study), [], Ledger(tmp_path)))
    rows = train_study(study, tmp_path)
    assert len(rows) == 2 * len(seeds) * len(strategies)
    assert max(row["epochs"] for row in rows) > 1
    for row in rows:
        for cost, stage in zip(costs[row["key"]], row["stages"], strict=True):
            assert {field: getattr(cost, field) for field in FIELDS} == {field: stage[field] for field in FIELDS}


def test_without_it_a_plan_estimates_steps_and_audio_and_knows_the_budget(world, asr_scaling):
    study = write_study(world, budgets_flops=[4e8])
    exact, estimated = (json.loads(asr_scaling("plan", study, "--json", *flags).stdout) for flags in (["--exact"], []))
    assert (exact["exact"], estimated["exact"]) == (True, False)
    assert "executed_flops" not in estimated
    for one, other in zip(exact["runs"], estimated["runs"], strict=True):
        assert one["audio_hours"] == pytest.approx(other["audio_hours"], rel=0.1)
        for counted, guessed in zip(one["stages"], other["stages"], strict=True):
            assert guessed["flops"] <= counted["flops"] < 1.2 * guessed["flops"]
            assert counted["steps"] == pytest.approx(guessed["steps"], rel=0.15)
    assert exact["executed_flops"] == sum(stage["executed_flops"] for run in exact["runs"] for stage in run["stages"])
