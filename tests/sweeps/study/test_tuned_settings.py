"""Rates and batches that a search found, as a study carries them."""

import pytest
from small_study import StudyWriter

from scaling.errors import InputError
from scaling.ledger.ledger import Ledger
from scaling.spec import Part
from sweeps.plan.plan_warnings import plan_warnings
from sweeps.plan.prepare import enumerate_runs, prepare
from sweeps.plan.write_plan import write_plan_file
from sweeps.study.study import load_study

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


def test_nothing_drifts_beyond_the_budgets_that_were_searched(write_study: StudyWriter, surroundings) -> None:
    searched = {"searched_flops": [3e9, 6e9], "drift": {"encoder": -0.5}}
    found = rates(write_tuned(write_study, surroundings, **searched))
    assert [found["joint", flops]["encoder"] for flops in (2 * 10**9, 4 * 10**9, 8 * 10**9)] == pytest.approx(
        [1e-3 * (4 / 3) ** 0.5, 1e-3, 1e-3 / (6 / 4) ** 0.5], rel=1e-3
    )


def batches(argument: str) -> dict[tuple[str, int], set[float]]:
    return {
        (run.strategy.name, run.budget_flops): {stage.optimization.batch_audio_seconds for stage in run.strategy.stages}
        for run in enumerate_runs(load_study(argument))
    }


def test_a_tuned_batch_replaces_the_study_s_in_every_stage_and_drifts_with_the_budget(
    write_study: StudyWriter, surroundings
) -> None:
    found = batches(write_tuned(write_study, surroundings, batch_audio_seconds=2.0))
    assert [found["joint", flops] for flops in (2 * 10**9, 8 * 10**9)] == [{2.0}, {2.0}]
    assert found["efin", 2 * 10**9] == {5.0}
    drifting = write_tuned(write_study, surroundings, batch_audio_seconds=2.0, drift={"batch_audio_seconds": 0.5})
    found = batches(drifting)
    assert [found["joint", flops] for flops in (2 * 10**9, 4 * 10**9, 8 * 10**9)] == [{1.414}, {2.0}, {2.828}]
    assert rates(drifting)["joint", 8 * 10**9] == JOINT


def test_steps_are_counted_in_the_tuned_batch(write_study: StudyWriter, surroundings, tmp_path) -> None:
    ledger = Ledger(tmp_path / "out", durable=False)
    with pytest.raises(InputError, match=r"'joint' of joint on encoder \+ llm, and one step takes"):
        prepare(write_tuned(write_study, surroundings, batch_audio_seconds=1000.0), ["budgets_flops=[4e8]"], ledger)
    prepared = prepare(write_tuned(write_study, surroundings, batch_audio_seconds=10.0), [], ledger)
    means = {
        run.spec.strategy.name: prepared.consumptions[
            run.spec.model, run.spec.strategy.stages[-1]
        ].audio_seconds_per_step
        for run in prepared.plan.runs
    }
    assert means["joint"] > 1.5 * means["efin"]


def test_a_row_says_what_the_tuning_of_its_strategy_cost(write_study: StudyWriter, surroundings, tmp_path) -> None:
    ledger = Ledger(tmp_path / "out", durable=False)
    prepared = prepare(write_tuned(write_study, surroundings, at_edge=["llm"]), [], ledger)
    runs = write_plan_file(prepared.study, prepared.plan, tmp_path / "out", ledger).runs
    said = {run.strategy: (run.tuning_flops, run.lr_at_grid_edge) for run in runs}
    assert said == {"efin": (None, None), "joint": (100_000_000_000, True)}
    assert not any("batch_at_grid_edge" in run.as_json() for run in runs)


@pytest.mark.parametrize(("at_edge", "said"), [(["batch"], (False, True)), (["llm"], (True, False))])
def test_a_row_tells_a_rate_at_the_edge_from_a_batch_there(
    write_study: StudyWriter, surroundings, tmp_path, at_edge, said
) -> None:
    ledger = Ledger(tmp_path / "out", durable=False)
    argument = write_tuned(write_study, surroundings, at_edge=at_edge, batch_audio_seconds=2.0)
    prepared = prepare(argument, ["strategies=[joint]"], ledger)
    for run in write_plan_file(prepared.study, prepared.plan, tmp_path / "out", ledger).runs:
        assert (run.lr_at_grid_edge, run.batch_at_grid_edge) == said
        assert [stage.batch_audio_seconds for stage in run.stages] == [2.0]


@pytest.mark.parametrize(
    ("strategy", "tuned", "message"),
    [
        ("jiont", {}, r"models\.0\.tuned\.jiont: 'jiont'; expected a strategy of the study; did you mean 'joint'"),
        ("joint", {"rates": {"joint": {"encoder": 1e-3}}}, r"tuned\.joint: expected a rate for each of"),
        ("joint", {"rates": {"other": JOINT}}, r"tuned\.joint: expected a rate for each of"),
        ("joint", {"drift": {"decoder": 1.0}}, r"drift"),
        ("joint", {"drift": {"batch_audio_seconds": 0.5}}, r"joint: batch_audio_seconds drifts from nowhere; expected"),
        ("joint", {"batch_audio_seconds": 0.0}, r"batch_audio_seconds"),
        ("joint", {"at_flops": 0}, r"at_flops"),
        (
            "joint",
            {"searched_flops": [6e9, 3e9]},
            r"searched_flops: \[6e\+09, 3e\+09\]; expected the smallest and the l",
        ),
        ("joint", {"searched_flops": [1e9]}, r"searched_flops"),
    ],
)
def test_what_does_not_fit_the_strategy_is_named(
    write_study: StudyWriter, surroundings, strategy: str, tuned, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_study(write_tuned(write_study, surroundings, strategy, **tuned))


@pytest.mark.parametrize(
    ("drift", "message"),
    [
        ({"encoder": 12.0}, r"drift\.encoder: 12 takes 0\.001 out of \(0, 1\) at 2 times at_flops"),
        ({"batch_audio_seconds": -5000.0}, r"drift\.batch_audio_seconds: -5000 takes 2 out of \(0, inf\) at 2 times"),
        ({"projector": 1e5}, r"drift\.projector: 100000 takes 0\.002 out of"),
    ],
)
def test_a_drift_to_what_no_stage_can_take_is_named(write_study: StudyWriter, surroundings, drift, message) -> None:
    study = load_study(write_tuned(write_study, surroundings, batch_audio_seconds=2.0, drift=drift))
    (model,) = study.models
    with pytest.raises(InputError, match=message):
        model.strategy_at(model.strategies[1], 8 * 10**9)


@pytest.mark.parametrize(
    ("tuned", "warned"),
    [
        ({"at_flops": 8e8}, False),
        ({"at_flops": 7e8}, True),
        ({"at_flops": 4e8, "searched_flops": [2e8, 8e8]}, False),
        ({"at_flops": 4e8, "searched_flops": [2e8, 7e8]}, True),
    ],
)
def test_a_plan_far_beyond_the_search_is_warned_of(
    write_study: StudyWriter, surroundings, tuned: dict[str, object], warned: bool
) -> None:
    warnings = plan_warnings(load_study(write_tuned(write_study, surroundings, **tuned)))
    said = [text for text in warnings if text.startswith("tuned_far_below: ")]
    assert len(said) == warned
    start = "tuned_far_below: joint (encoder + llm): tuned at 7e+08 FLOPs, and the largest budget is 11.4 times that"
    assert all(text.startswith(start) for text in said)
