"""The search for rates and batches: the same grid and FLOPs for every strategy, and planted valleys found again."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_study import StudyWriter

from scaling.errors import InputError
from scaling.ledger.ledger import Ledger
from scaling.scoring.interval import LEVEL
from scaling.spec import Part, RunSpec
from scaling.system.console import wrapped
from sweeps.cli import app
from sweeps.plan.prepare import Prepared, enumerate_runs, prepare_runs
from sweeps.run import simulate
from sweeps.run.outcome import SweepOutcome
from sweeps.study.study import Study, load_study
from sweeps.tuning.grid import (
    BATCH_STEP,
    HYPERPARAMETER_OF_PART,
    RATE_STEP,
    RATES,
    DevErrors,
    GridPoint,
    Hyperparameter,
    best_point,
    hyperparameters_of,
    initial_points,
    multipliers,
    nearest_points,
    points_beyond_edges,
    with_multipliers,
)
from sweeps.tuning.optimum_fit import FALSE_DRIFT, OptimumEstimate, optima
from sweeps.tuning.search_state import initial_states
from sweeps.tuning.text import tuning_document, tuning_text, write_tuned_study
from sweeps.tuning.tune import ROUND_ENDS, WIDER_ROUND_ENDS, TuningResult, tune, tuning_budgets

SMALL, LARGE = 2 * 10**9, 8 * 10**9
LOG_RATIO = math.log(LARGE / SMALL)
HYPERPARAMETERS = tuple(Hyperparameter)
POINTS = ROUND_ENDS[len(HYPERPARAMETERS)]
ROOM = {"batch_audio_seconds": 4.0, "warmup_steps": 2}
"""With these, batches from a quarter to four times the study's are worth a trial at `SMALL` and `LARGE`."""
NEAR_THE_RULE = {Part.ENCODER: 0.2, Part.PROJECTOR: 0.2, Part.LLM_LORA: 0.2}


def test_every_search_begins_with_the_same_multipliers_for_all_rates_and_then_for_the_batch() -> None:
    assert initial_points([Hyperparameter.PROJECTOR]) == [(-2,), (-1,), (0,), (1,), (2,)]
    assert initial_points(HYPERPARAMETERS) == [
        *((k, k, k, 0) for (k,) in initial_points([Hyperparameter.PROJECTOR])),
        *((0, 0, 0, k) for k in (-2, -1, 1, 2)),
    ]


def next_points(scores: DevErrors, count: int) -> list[GridPoint]:
    return nearest_points(best_point(scores), count, lambda point: point not in scores)


def test_single_hyperparameters_are_tried_around_the_best_before_two_together() -> None:
    scores = {point: 0.5 + abs(point[0] - 1) for point in initial_points(RATES[:2])}
    assert set(next_points(scores, 4)) == {(0, 1), (2, 1), (1, 0), (1, 2)}
    assert set(next_points(scores, 7)[4:]) < {(-1, 1), (3, 1), (1, -1), (1, 3)}
    assert not set(next_points(scores, 9)) & scores.keys()
    assert len(set(next_points(scores, 9))) == 9


def test_a_best_at_the_edge_draws_the_search_beyond_it() -> None:
    scores = {point: 1.0 - 0.1 * point[0] for point in initial_points(RATES[:1])}
    assert points_beyond_edges(scores) == [(0, (3,))]
    assert next_points(scores, 2) == [(3,), (4,)]
    inside = {point: 0.5 + abs(point[0]) for point in initial_points(RATES[:1])}
    assert points_beyond_edges(inside) == []


def test_a_hyperparameter_that_was_never_turned_has_an_edge_on_either_side() -> None:
    assert points_beyond_edges({(power, 0): 0.5 + abs(power) for power in (-1, 0, 1)}) == [(1, (0, -1)), (1, (0, 1))]


def test_turning_a_hyperparameter_keeps_the_ratio_of_its_rates_between_stages(write_study: StudyWriter) -> None:
    study = load_study(str(write_study(strategies=["efin_then_joint"])))
    strategy = study.models[0].strategies[0]
    assert hyperparameters_of(strategy) == HYPERPARAMETERS
    moved = with_multipliers(strategy, multipliers(HYPERPARAMETERS, (1, 0, -1, 2)))
    for before, after in zip(strategy.stages, moved.stages, strict=True):
        powers = {"encoder": 1, "projector": 0, "llm": -1}
        for (part, rate), (_, new) in zip(before.trains, after.trains, strict=True):
            assert new == pytest.approx(rate * RATE_STEP ** powers[HYPERPARAMETER_OF_PART[part].value], rel=1e-3)
        assert after.optimization.batch_audio_seconds == 4 * before.optimization.batch_audio_seconds
    assert with_multipliers(strategy, multipliers(HYPERPARAMETERS, (0, 0, 0, 0))) == strategy


def test_a_batch_not_worth_a_trial_is_passed_over_and_costs_no_point(write_study: StudyWriter) -> None:
    study = load_study(str(write_study(strategies=["efin", "joint"], **ROOM)))
    for state in initial_states(study, HYPERPARAMETERS):
        narrow = dataclasses.replace(state, batch_range=(0.5, 1.5))
        asked = narrow.points(POINTS[0])
        assert len(set(asked)) == len(state.points(POINTS[0])) == POINTS[0]
        tried = dataclasses.replace(narrow, dev_errors={point: 1.0 - 0.1 * point[-1] for point in asked})
        assert {point[-1] for point in tried.points(POINTS[-1])} == {-1, 0}
        assert Hyperparameter.BATCH in tried.at_edge


def test_a_batch_is_one_utterance_at_least_and_leaves_every_stage_its_warm_up(write_study: StudyWriter) -> None:
    study = load_study(str(write_study(strategies=["efin"], budgets_flops=[SMALL, LARGE], **ROOM)))
    prepared = prepare_runs(study, enumerate_runs(study), None)
    for state in initial_states(study, HYPERPARAMETERS):
        smallest, largest = state.batch_range
        assert 4.0 * smallest == pytest.approx(study.speech.train.hours * 3600 / len(study.speech.train))
        steps = [
            stage.budget(state.budget_flops) / prepared.consumptions[state.model.spec, stage].flops_per_step
            for stage in state.strategy.stages
        ]
        assert largest == pytest.approx(min(steps) / 2)


def valley(lowest: tuple[float, ...], curvature: float, noise: float, rng: np.random.Generator) -> Any:
    def error(point: tuple[int, ...]) -> float:
        away = sum((x - low) ** 2 for x, low in zip(point, lowest, strict=True))
        return min(0.95, 0.2 * math.exp(curvature * away + noise * rng.standard_normal()))

    return error


def searched(error: Any, count: int) -> DevErrors:
    scores = {point: error(point) for point in initial_points(HYPERPARAMETERS[:count])}
    for end in ROUND_ENDS[max(count, len(RATES))][1:]:
        scores |= {point: error(point) for point in next_points(scores, end - len(scores))}
    return scores


def found_in(low: DevErrors, high: DevErrors, count: int) -> tuple[OptimumEstimate, ...]:
    return optima({SMALL: low, LARGE: high}, [kind.step for kind in HYPERPARAMETERS[:count]])


def test_a_planted_valley_and_its_drift_are_found_again_without_noise() -> None:
    rng = np.random.default_rng(0)
    low, high = (searched(valley((0.6 + drift, -0.4, 0.2, -0.3 + drift), 0.1, 0.0, rng), 4) for drift in (-0.3, 0.3))
    encoder, projector, llm, batch = found_in(low, high, 4)
    rates = [math.log(best.multiplier, RATE_STEP) for best in (encoder, projector, llm)]
    assert [*rates, math.log(batch.multiplier, BATCH_STEP)] == pytest.approx([0.6, -0.4, 0.2, -0.3], abs=0.02)
    assert encoder.drift == pytest.approx(0.6 * math.log(RATE_STEP) / LOG_RATIO, rel=0.02)
    assert batch.drift == pytest.approx(0.6 * math.log(BATCH_STEP) / LOG_RATIO, rel=0.02)
    assert (projector.drift, llm.drift) == (0.0, 0.0)


MANY = [pytest.param(count, 150, marks=pytest.mark.slow) for count in (1, 2, 3, 4)]


@pytest.mark.parametrize(("count", "sets"), [(1, 60), (4, 30), *MANY])
def test_intervals_hold_the_truth_and_no_drift_is_claimed_where_there_is_none(count: int, sets: int) -> None:
    rng, held, regrets, false = np.random.default_rng(count), [], [], 0
    for _ in range(sets):
        lowest = tuple(rng.uniform(-1.5, 1.5, count))
        curvature = rng.uniform(0.05, 0.2)
        small, large = (searched(valley(lowest, curvature, 0.08, rng), count) for _ in (SMALL, LARGE))
        found = found_in(small, large, count)
        false += any(best.drift for best in found)
        powers = [
            math.log(best.multiplier, kind.step) for kind, best in zip(HYPERPARAMETERS[:count], found, strict=True)
        ]
        regrets.append(curvature * sum((power - low) ** 2 for power, low in zip(powers, lowest, strict=True)))
        held += [
            math.log(best.interval[0], kind.step) <= low <= math.log(best.interval[1], kind.step)
            for kind, best, low in zip(HYPERPARAMETERS[:count], found, lowest, strict=True)
            if best.interval is not None
        ]
    assert len(held) > 0.7 * sets * count
    assert np.mean(regrets) < 0.05
    assert abs(np.mean(held) - LEVEL) < 4 * math.sqrt(LEVEL * (1 - LEVEL) / len(held))
    assert false / sets < FALSE_DRIFT + 3 * math.sqrt(FALSE_DRIFT * (1 - FALSE_DRIFT) / sets)


def test_in_a_valley_that_is_steeper_on_one_side_the_error_found_is_near_the_lowest() -> None:
    rng, regrets, false = np.random.default_rng(0), [], 0
    for _ in range(100):
        lowest, curvature = rng.uniform(-1.5, 1.5), rng.uniform(0.05, 0.2)

        def log_error(power: float, lowest: float = lowest, curvature: float = curvature) -> float:
            away = power - lowest
            return curvature * away**2 * (2.0 if away > 0 else 1.0) + 0.5 * max(0.0, away - 1.5)

        def error(point: tuple[int, ...], log_error: Any = log_error) -> float:
            return min(0.95, 0.2 * math.exp(log_error(point[0]) + 0.06 * rng.standard_normal()))

        (best,) = found_in(searched(error, 1), searched(error, 1), 1)
        regrets.append(log_error(math.log(best.multiplier, RATE_STEP)))
        false += best.drift != 0.0
    assert np.mean(regrets) < 0.02
    assert false <= 8


def test_a_best_rate_that_drifts_stays_at_each_budget_among_those_tried_there() -> None:
    low, high = ({(x,): 0.2 * math.exp(0.01 * (x - best) ** 2) for x in range(-3, 4)} for best in (0.0, 5.0))
    (best,) = found_in(low, high, 1)
    at_small, at_large = (
        best.multiplier * (flops / math.sqrt(SMALL * LARGE)) ** best.drift for flops in (SMALL, LARGE)
    )
    assert at_small == pytest.approx(1.0, rel=1e-6)
    assert at_large == pytest.approx(RATE_STEP**3)


def test_a_drift_that_only_a_moving_cliff_shows_is_not_claimed() -> None:
    flat = {(power,): 0.2 * math.exp(0.02 * power**2) for power in range(-3, 4)}
    low, high = {**flat, (2,): 0.21, (3,): 0.22}, {**flat, (2,): 0.35, (3,): 0.39}
    (best,) = found_in(low, high, 1)
    assert best.drift == 0.0


def test_settings_that_diverged_or_learnt_nothing_are_no_part_of_the_valley() -> None:
    rng = np.random.default_rng(0)
    scores = searched(valley((0.0,), 0.1, 0.0, rng), 1)
    clean = found_in(scores, scores, 1)
    broken = {**scores, (max(scores)[0],): math.inf, (min(scores)[0],): 0.95}
    assert found_in(broken, broken, 1)[0].multiplier == pytest.approx(clean[0].multiplier, rel=1e-6)


def test_without_a_valley_the_best_setting_of_the_larger_budget_is_taken_and_said_to_be_unresolved() -> None:
    falling = {point: 0.5 * math.exp(-0.1 * point[0]) for point in initial_points(RATES[:1])}
    (best,) = found_in(falling, falling, 1)
    assert best.multiplier == pytest.approx(RATE_STEP**2)
    assert (best.interval, best.drift) == (None, 0.0)


class Planted:
    """A trainer that answers at once, from a valley over the rates of each part and over the batch.

    `best` holds the power of its step at which each is best; that of the batch grows with `growth`, a power of the
    budget, through the geometric mean of `SMALL` and `LARGE`.
    """

    def __init__(self, study: Study, out: Path, best: dict[Part | Hyperparameter, float], growth: float = 0.0) -> None:
        self.out, self.ledger, self.best, self.growth = out, simulate.simulated_ledger(out), best, growth
        self.rule = {
            (strategy.name, stage.name, part): rate
            for model in study.models
            for strategy in model.strategies
            for stage in strategy.stages
            for part, rate in stage.trains
        }
        self.batch = study.models[0].strategies[0].stages[0].optimization.batch_audio_seconds
        self.rounds: list[Prepared] = []

    def cer(self, run: RunSpec, params: int) -> float:
        name, stages = run.strategy.name.partition("@")[0], run.strategy.stages
        tried: dict[Part | Hyperparameter, float] = {
            part: math.log(rate / self.rule[name, stage.name, part], RATE_STEP)
            for stage in stages
            for part, rate in stage.trains
        }
        batches = {stage.optimization.batch_audio_seconds for stage in stages}
        grown = self.growth * math.log(run.budget_flops / math.sqrt(SMALL * LARGE))
        tried[Hyperparameter.BATCH] = (math.log(batches.pop() / self.batch) - grown) / math.log(BATCH_STEP)
        assert not batches
        away = sum((tried[kind] - best) ** 2 for kind, best in self.best.items() if kind in tried)
        return min(1.0, 0.05 * math.exp(0.1 * away))

    def __call__(self, prepared: Prepared) -> SweepOutcome:
        self.rounds.append(prepared)
        return simulate.simulate_runs(prepared, self.out, self.ledger)


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    def plant(study: Study, best: dict[Part | Hyperparameter, float], growth: float = 0.0) -> Planted:
        trainer = Planted(study, tmp_path / "out", best, growth)
        monkeypatch.setattr(simulate, "planted_cer", trainer.cer)
        monkeypatch.setattr(simulate, "NOISE", 0.0)
        monkeypatch.setattr(simulate, "_size", lambda texts, *_: (10**9, len(texts)))  # errors are whole numbers
        return trainer

    return plant


def test_every_strategy_is_tuned_with_the_same_points_and_flops_and_finds_its_valley(
    write_study: StudyWriter, planted: Any, tmp_path: Path
) -> None:
    strategies = ["efin", "joint", "frozen_encoder", "projector_only"]
    study = load_study(str(write_study(strategies=strategies, **ROOM)))
    trainer = planted(study, {Part.ENCODER: 1.0, Part.PROJECTOR: -0.5, Part.LLM_LORA: 0.5, Hyperparameter.BATCH: -0.7})
    found = tune(study, (SMALL, LARGE), trainer.ledger, trainer)
    assert isinstance(found, TuningResult)
    assert (
        {len(state.dev_errors) for tuning in found.strategies for state in tuning.states}
        == {found.points}
        == {POINTS[-1]}
    )
    charged = {tuning.charged_flops for tuning in found.strategies}
    assert charged == {POINTS[-1] * (SMALL + LARGE)}
    assert found.charged_flops == 4 * charged.pop() == trainer.rounds[-1].plan.charged_flops
    assert found.spent_flops == trainer.rounds[-1].plan.spent_flops < found.charged_flops
    wanted = {
        Hyperparameter.ENCODER: 1.0,
        Hyperparameter.PROJECTOR: -0.5,
        Hyperparameter.LLM: 0.5,
        Hyperparameter.BATCH: -0.7,
    }
    for tuning in found.strategies:
        assert tuning.at_edge == ()
        for kind, best in zip(tuning.states[0].hyperparameters, tuning.optima, strict=True):
            assert math.log(best.multiplier, kind.step) == pytest.approx(wanted[kind], abs=0.05)
            assert best.drift == 0.0


def test_rates_can_be_searched_alone_with_fewer_points_and_the_study_s_batch(
    write_study: StudyWriter, planted: Any, tmp_path: Path
) -> None:
    study = load_study(str(write_study(strategies=["efin", "projector_only"], **ROOM)))
    trainer = planted(study, {**NEAR_THE_RULE, Hyperparameter.BATCH: 1.0})
    found = tune(study, (SMALL, LARGE), trainer.ledger, trainer, RATES)
    assert isinstance(found, TuningResult)
    assert found.points == ROUND_ENDS[len(RATES)][-1] < POINTS[-1]
    batches = {
        stage.optimization.batch_audio_seconds
        for run in trainer.rounds[-1].plan.runs
        for stage in run.spec.strategy.stages
    }
    assert batches == {4.0}
    assert "batch" not in tuning_text(found)
    write_tuned_study(found, tmp_path / "tuned.yaml")
    assert load_study(str(tmp_path / "tuned.yaml")).models[0].tuned["efin"].batch_audio_seconds is None


def test_a_best_at_the_edge_widens_the_search_for_everyone_and_is_flagged_if_it_stays_there(
    write_study: StudyWriter, planted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # no cell is broken into lines
    study = load_study(str(write_study(strategies=["efin", "projector_only"], **ROOM)))
    trainer = planted(study, {Part.ENCODER: 30.0, Hyperparameter.BATCH: 0.4})
    found = tune(study, (SMALL, LARGE), trainer.ledger, trainer)
    assert isinstance(found, TuningResult)
    widest = WIDER_ROUND_ENDS[len(HYPERPARAMETERS)][-1]
    assert found.points == widest
    assert {tuning.charged_flops for tuning in found.strategies} == {widest * (SMALL + LARGE)}
    flagged = {tuning.strategy.name: tuning.at_edge for tuning in found.strategies}
    assert Hyperparameter.ENCODER in flagged["efin"]
    assert Hyperparameter.BATCH not in flagged["projector_only"]
    assert "at the edge" in tuning_text(found)
    monkeypatch.setenv("COLUMNS", "80")
    lines = wrapped(tuning_text(found)).splitlines()
    assert max(map(len, lines)) <= 80
    assert found.strategies[0].tuned.columns()["lr_at_grid_edge"] is True


def test_a_best_batch_with_nothing_to_try_beyond_is_flagged_and_widens_no_search(
    write_study: StudyWriter, planted: Any
) -> None:
    study = load_study(str(write_study(strategies=["efin", "projector_only"], batch_audio_seconds=2.0, warmup_steps=9)))
    state = next(state for state in initial_states(dataclasses.replace(study, budgets_flops=(SMALL,)), HYPERPARAMETERS))
    assert 2 < state.batch_range[1] < 4
    trainer = planted(study, {**NEAR_THE_RULE, Hyperparameter.BATCH: 1.0})
    found = tune(study, (SMALL, LARGE), trainer.ledger, trainer)
    assert isinstance(found, TuningResult)
    assert found.points == POINTS[-1]
    assert [tuning.at_edge for tuning in found.strategies] == [(Hyperparameter.BATCH,), ()]
    assert [tuning.tuned.columns()["batch_at_grid_edge"] for tuning in found.strategies] == [True, False]
    assert [tuning.tuned.columns()["lr_at_grid_edge"] for tuning in found.strategies] == [False, False]


def test_a_best_batch_of_one_utterance_is_no_edge(write_study: StudyWriter, planted: Any) -> None:
    study = load_study(str(write_study(strategies=["efin"], **ROOM)))
    trainer = planted(study, {**NEAR_THE_RULE, Hyperparameter.BATCH: -4.0})
    found = tune(study, (SMALL, LARGE), trainer.ledger, trainer)
    assert isinstance(found, TuningResult)
    assert found.points == POINTS[-1]
    (tuning,) = found.strategies
    assert [best_point(state.dev_errors)[-1] for state in tuning.states] == [-2, -2]
    assert tuning.at_edge == ()
    assert tuning.tuned.batch_audio_seconds == pytest.approx(1.0)


def test_the_same_command_goes_on_where_it_stopped_and_a_grown_study_pays_for_what_is_new(
    write_study: StudyWriter, planted: Any
) -> None:
    study = load_study(str(write_study(strategies=["efin"])))
    trainer = planted(study, {Part.ENCODER: 0.5})
    stopped = tune(
        study,
        (SMALL, LARGE),
        trainer.ledger,
        lambda prepared: SweepOutcome(rows=[], survey=trainer(prepared).survey, stopped_by=15),
    )
    assert isinstance(stopped, SweepOutcome)
    whole = tune(study, (SMALL, LARGE), trainer.ledger, trainer)
    again = tune(study, (SMALL, LARGE), trainer.ledger, trainer)
    assert isinstance(whole, TuningResult)
    assert isinstance(again, TuningResult)
    assert tuning_document(again) == tuning_document(whole)
    last = trainer.rounds[-1]
    assert last.reused_runs == len(last.plan.runs)
    grown = load_study(str(write_study(strategies=["efin", "joint"])))
    trainer.rule |= Planted(grown, trainer.out, {}).rule
    more = tune(grown, (SMALL, LARGE), trainer.ledger, trainer)
    assert isinstance(more, TuningResult)
    assert trainer.rounds[-1].reused_runs > whole.points
    assert tuning_document(more)["found"][0] == tuning_document(whole)["found"][0]


def test_the_written_study_trains_with_what_was_found(write_study: StudyWriter, planted: Any, tmp_path: Path) -> None:
    study = load_study(str(write_study(strategies=["efin", "joint"], **ROOM)))
    trainer = planted(study, {Part.ENCODER: 1.0, Part.PROJECTOR: -0.5, Hyperparameter.BATCH: -0.4}, growth=0.3)
    found = tune(study, (SMALL, LARGE), trainer.ledger, trainer)
    assert isinstance(found, TuningResult)
    write_tuned_study(found, tmp_path / "tuned.yaml")
    tuned = load_study(str(tmp_path / "tuned.yaml"))
    for run in enumerate_runs(tuned):
        (tuning,) = [tuning for tuning in found.strategies if tuning.strategy.name == run.strategy.name]
        rates = {stage.name: dict(stage.trains) for stage in run.strategy.stages}
        assert rates == tuning.tuned.rates
        assert tuned.models[0].tuned[tuning.strategy.name].searched_flops == (SMALL, LARGE)
        (batch,) = {stage.optimization.batch_audio_seconds for stage in run.strategy.stages}
        assert batch == pytest.approx(
            4.0 * BATCH_STEP**-0.4 * (run.budget_flops / math.sqrt(SMALL * LARGE)) ** 0.3, rel=0.02
        )
    plan_file = prepare_runs(tuned, enumerate_runs(tuned), Ledger(tmp_path / "new"))
    assert plan_file.plan.runs[0].spec.budget_flops == study.budgets_flops[0]


def test_a_file_that_could_not_be_written_is_refused_before_the_search(
    write_study: StudyWriter, tmp_path: Path
) -> None:
    arguments = ["tune", str(write_study()), "--out", str(tmp_path / "out"), "--write", str(tmp_path / "no" / "x.yaml")]
    with pytest.raises(InputError, match=r"--write .*x\.yaml: there is no folder"):
        app(arguments, standalone_mode=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("given", ["", "1e9,1e9", "1e9,x", "-1,1e9", "nan", "inf"])
def test_wrong_budgets_are_named(given: str, write_study: StudyWriter) -> None:
    with pytest.raises(InputError, match=r"--budgets .* expected FLOPs separated by commas"):
        tuning_budgets(load_study(str(write_study())), given)


@pytest.mark.parametrize(
    ("largest", "expected"), [(4 * SMALL, (SMALL, 4 * SMALL)), (1000 * SMALL, (25 * SMALL, 100 * SMALL))]
)
def test_the_default_budgets_are_a_fortieth_and_a_tenth_of_the_largest_and_not_below_the_smallest(
    largest: int, expected: tuple[int, int], write_study: StudyWriter
) -> None:
    study = load_study(str(write_study(budgets_flops=[SMALL, largest])))
    assert tuning_budgets(study, None) == expected
