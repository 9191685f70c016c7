"""Rates that a search found, as a study carries them."""

import pytest
from small_study import StudyWriter

from scaling.errors import InputError
from scaling.ledger import Ledger
from scaling.spec import Part
from sweeps.grid import enumerate_runs
from sweeps.orders import write_orders
from sweeps.preparation import prepare
from sweeps.study import load_study

JOINT = {"encoder": 1e-3, "projector": 2e-3, "llm_lora": 4e-3}


def write_tuned(write_study: StudyWriter, surroundings, strategy: str = "joint", **tuned) -> str:
    entry = {"rates": {"joint": JOINT}, "at_flops": 4e9, "tuning_flops": 1e11, **tuned}
    model = {"encoder": str(surroundings / "encoder"), "llm": str(surroundings / "llm"), "tuned": {strategy: entry}}
    return str(write_study(models=[model]))


def rates(argument: str) -> dict[tuple[str, int], dict[Part, float]]:
    return {
        (run.strategy.name, run.budget_flops): dict(run.strategy.stages[-1].trains)
        for run in enumerate_runs(load_study(argument))
    }


def test_tuned_rates_replace_those_of_the_rule_at_every_budget(write_study: StudyWriter, surroundings) -> None:
    plain, tuned = rates(str(write_study())), rates(write_tuned(write_study, surroundings))
    assert [tuned["joint", flops] for flops in (2 * 10**9, 8 * 10**9)] == [JOINT, JOINT]
    assert tuned["efin", 2 * 10**9] == plain["efin", 2 * 10**9]


def test_a_rate_drifts_with_the_budget_from_where_it_was_found(write_study: StudyWriter, surroundings) -> None:
    found = rates(write_tuned(write_study, surroundings, drift={"encoder": -0.5}))
    assert [found["joint", flops]["encoder"] for flops in (2 * 10**9, 4 * 10**9, 8 * 10**9)] == pytest.approx(
        [1e-3 * 2**0.5, 1e-3, 1e-3 / 2**0.5], rel=1e-3
    )
    assert found["joint", 8 * 10**9]["projector"] == 2e-3


def test_a_row_says_what_the_tuning_of_its_strategy_cost(write_study: StudyWriter, surroundings, tmp_path) -> None:
    ledger = Ledger(tmp_path / "out", durable=False)
    prepared = prepare(write_tuned(write_study, surroundings, at_edge=["llm"]), [], ledger)
    runs = write_orders(prepared.study, prepared.plan, tmp_path / "out", ledger).runs
    said = {run["strategy"]: (run.get("tuning_flops"), run.get("lr_at_grid_edge")) for run in runs}
    assert said == {"efin": (None, None), "joint": (100_000_000_000, True)}


@pytest.mark.parametrize(
    ("strategy", "tuned", "message"),
    [
        ("jiont", {}, r"models\.0\.tuned\.jiont: 'jiont'; expected a strategy of the study; did you mean 'joint'"),
        ("joint", {"rates": {"joint": {"encoder": 1e-3}}}, r"tuned\.joint: expected a rate for each of"),
        ("joint", {"rates": {"other": JOINT}}, r"tuned\.joint: expected a rate for each of"),
        ("joint", {"drift": {"decoder": 1.0}}, r"drift"),
        ("joint", {"at_flops": 0}, r"at_flops"),
    ],
)
def test_what_does_not_fit_the_strategy_is_named(
    write_study: StudyWriter, surroundings, strategy: str, tuned, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_study(write_tuned(write_study, surroundings, strategy, **tuned))
