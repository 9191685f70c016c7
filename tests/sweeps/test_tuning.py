"""The search for learning rates: the same grid and FLOPs for every strategy, and planted valleys found again."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_study import StudyWriter

from scaling.errors import InputError
from scaling.ledger import Ledger
from scaling.spec import Part, RunSpec
from sweeps import simulate
from sweeps.cli import app
from sweeps.grid import enumerate_runs
from sweeps.preparation import Prepared, prepare_runs
from sweeps.running import Outcome
from sweeps.study import Study, load_study
from sweeps.tuning.optimum import FALSE_DRIFT, LEVEL, optima
from sweeps.tuning.search import STEP, TURNS, Knob, Scores, edges, first_points, knobs_of, next_points, turned
from sweeps.tuning.show import tuning_document, tuning_text, write_tuned_study
from sweeps.tuning.tune import ENDS, WIDER_ENDS, Tuning, tune, tuning_budgets

SMALL, LARGE = 2 * 10**9, 8 * 10**9
LOG_RATIO = math.log(LARGE / SMALL)


def test_every_search_begins_with_the_same_multipliers_for_all_knobs() -> None:
    assert first_points(1) == [(-2,), (-1,), (0,), (1,), (2,)]
    assert first_points(3) == [(k, k, k) for (k,) in first_points(1)]


def test_single_knobs_are_tried_around_the_best_before_two_together() -> None:
    scores = {point: 0.5 + abs(point[0] - 1) for point in first_points(2)}
    assert set(next_points(scores, 4)) == {(0, 1), (2, 1), (1, 0), (1, 2)}
    assert set(next_points(scores, 7)[4:]) < {(-1, 1), (3, 1), (1, -1), (1, 3)}
    assert not set(next_points(scores, 9)) & scores.keys()
    assert len(set(next_points(scores, 9))) == 9


def test_a_best_at_the_edge_draws_the_search_beyond_it() -> None:
    scores = {point: 1.0 - 0.1 * point[0] for point in first_points(1)}
    assert edges(scores) == (0,)
    assert next_points(scores, 2) == [(3,), (4,)]
    inside = {point: 0.5 + abs(point[0]) for point in first_points(1)}
    assert edges(inside) == ()


def test_turning_a_knob_keeps_the_ratio_of_its_rates_between_stages(write_study: StudyWriter) -> None:
    study = load_study(str(write_study(strategies=["efin_then_joint"])))
    strategy = study.models[0].strategies[0]
    assert knobs_of(strategy) == (Knob.ENCODER, Knob.PROJECTOR, Knob.LLM)
    moved = turned(strategy, (1, 0, -1))
    for before, after in zip(strategy.stages, moved.stages, strict=True):
        powers = {"encoder": 1, "projector": 0, "llm": -1}
        for (part, rate), (_, new) in zip(before.trains, after.trains, strict=True):
            assert new == pytest.approx(rate * STEP ** powers[TURNS[part].value], rel=1e-3)
    assert turned(strategy, (0, 0, 0)) == strategy


def valley(lowest: tuple[float, ...], curvature: float, noise: float, rng: np.random.Generator) -> Any:
    def error(point: tuple[int, ...]) -> float:
        away = sum((x - low) ** 2 for x, low in zip(point, lowest, strict=True))
        return min(0.95, 0.2 * math.exp(curvature * away + noise * rng.standard_normal()))

    return error


def walked(error: Any, knobs: int) -> Scores:
    scores = {point: error(point) for point in first_points(knobs)}
    for end in ENDS[1:]:
        scores |= {point: error(point) for point in next_points(scores, end - len(scores))}
    return scores


def test_a_planted_valley_and_its_drift_are_found_again_without_noise() -> None:
    rng = np.random.default_rng(0)
    low, high = (walked(valley((0.6 + drift, -0.4, 0.2), 0.1, 0.0, rng), 3) for drift in (-0.3, 0.3))
    first, second, third = optima({SMALL: low, LARGE: high})
    found = [math.log(best.multiplier, STEP) for best in (first, second, third)]
    assert found == pytest.approx([0.6, -0.4, 0.2], abs=0.02)
    assert first.drift == pytest.approx(0.6 * math.log(STEP) / LOG_RATIO, rel=0.02)
    assert (second.drift, third.drift) == (0.0, 0.0)


@pytest.mark.parametrize("knobs", [1, 2, 3])
def test_intervals_hold_the_truth_and_no_drift_is_claimed_where_there_is_none(knobs: int) -> None:
    rng, held, false, sets = np.random.default_rng(knobs), [], 0, 150
    for _ in range(sets):
        lowest = tuple(rng.uniform(-1.5, 1.5, knobs))
        curvature = rng.uniform(0.05, 0.2)
        found = optima({flops: walked(valley(lowest, curvature, 0.08, rng), knobs) for flops in (SMALL, LARGE)})
        false += any(best.drift for best in found)
        held += [
            math.log(best.interval[0], STEP) <= low <= math.log(best.interval[1], STEP)
            for best, low in zip(found, lowest, strict=True)
            if best.interval is not None
        ]
    assert len(held) > 0.7 * sets * knobs
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

        (best,) = optima({flops: walked(error, 1) for flops in (SMALL, LARGE)})
        regrets.append(log_error(math.log(best.multiplier, STEP)))
        false += best.drift != 0.0
    assert np.mean(regrets) < 0.02
    assert false <= 8


def test_a_drift_that_only_a_moving_cliff_shows_is_not_claimed() -> None:
    flat = {(power,): 0.2 * math.exp(0.02 * power**2) for power in range(-3, 4)}
    low, high = {**flat, (2,): 0.21, (3,): 0.22}, {**flat, (2,): 0.35, (3,): 0.39}
    (best,) = optima({SMALL: low, LARGE: high})
    assert best.drift == 0.0


def test_settings_that_diverged_or_learnt_nothing_are_no_part_of_the_valley() -> None:
    rng = np.random.default_rng(0)
    scores = walked(valley((0.0,), 0.1, 0.0, rng), 1)
    clean = optima({SMALL: scores, LARGE: scores})
    broken = {**scores, (max(scores)[0],): math.inf, (min(scores)[0],): 0.95}
    assert optima({SMALL: broken, LARGE: broken})[0].multiplier == pytest.approx(clean[0].multiplier, rel=1e-6)


def test_without_a_valley_the_best_setting_of_the_larger_budget_is_taken_and_said_to_be_unresolved() -> None:
    falling = {point: 0.5 * math.exp(-0.1 * point[0]) for point in first_points(1)}
    (best,) = optima({SMALL: falling, LARGE: falling})
    assert best.multiplier == pytest.approx(STEP**2)
    assert (best.interval, best.drift) == (None, 0.0)


class Planted:
    """A trainer that answers at once, from a valley over the rates of each part."""

    def __init__(self, study: Study, out: Path, best: dict[Part, float]) -> None:
        self.out, self.ledger, self.best = out, simulate.simulated_ledger(out), best
        self.rule = {
            (strategy.name, stage.name, part): rate
            for model in study.models
            for strategy in model.strategies
            for stage in strategy.stages
            for part, rate in stage.trains
        }
        self.rounds: list[Prepared] = []

    def cer(self, run: RunSpec, params: int) -> float:
        name, away = run.strategy.name.partition("@")[0], 0.0
        for knob, best in self.best.items():
            rates = [
                math.log(rate / self.rule[name, stage.name, part], STEP)
                for stage in run.strategy.stages
                for part, rate in stage.trains
                if part is knob
            ]
            away += (rates[0] - best) ** 2 if rates else 0.0
        return min(1.0, 0.05 * math.exp(0.1 * away))

    def __call__(self, prepared: Prepared) -> Outcome:
        self.rounds.append(prepared)
        return simulate.answer(prepared, self.out, self.ledger)


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    def plant(study: Study, best: dict[Part, float]) -> Planted:
        trainer = Planted(study, tmp_path / "out", best)
        monkeypatch.setattr(simulate, "planted_cer", trainer.cer)
        monkeypatch.setattr(simulate, "NOISE", 0.0)
        monkeypatch.setattr(simulate, "_size", lambda texts, *_: (10**9, len(texts)))  # errors are whole numbers
        return trainer

    return plant


def test_every_strategy_is_tuned_with_the_same_points_and_flops_and_finds_its_valley(
    write_study: StudyWriter, planted: Any, tmp_path: Path
) -> None:
    study = load_study(str(write_study(strategies=["efin", "joint", "frozen_encoder", "projector_only"])))
    trainer = planted(study, {Part.ENCODER: 1.0, Part.PROJECTOR: -0.5, Part.LLM_LORA: 0.5})
    found = tune(study, (SMALL, LARGE), trainer.ledger, trainer)
    assert isinstance(found, Tuning)
    assert {len(walk.scores) for one in found.found for walk in one.walks} == {found.points} == {ENDS[-1]}
    charged = {one.charged_flops for one in found.found}
    assert charged == {ENDS[-1] * (SMALL + LARGE)}
    assert found.charged_flops == 4 * charged.pop() == trainer.rounds[-1].plan.charged_flops
    assert found.spent_flops == trainer.rounds[-1].plan.spent_flops < found.charged_flops
    wanted = {Knob.ENCODER: 1.0, Knob.PROJECTOR: -0.5, Knob.LLM: 0.5}
    for one in found.found:
        assert one.at_edge == ()
        for knob, best in zip(one.walks[0].knobs, one.optima, strict=True):
            assert math.log(best.multiplier, STEP) == pytest.approx(wanted[knob], abs=0.05)
            assert best.drift == 0.0


def test_a_best_at_the_edge_widens_the_search_for_everyone_and_is_flagged_if_it_stays_there(
    write_study: StudyWriter, planted: Any
) -> None:
    study = load_study(str(write_study(strategies=["efin", "projector_only"])))
    trainer = planted(study, {Part.ENCODER: 30.0})
    found = tune(study, (SMALL, LARGE), trainer.ledger, trainer)
    assert isinstance(found, Tuning)
    assert found.points == WIDER_ENDS[-1]
    assert {one.charged_flops for one in found.found} == {WIDER_ENDS[-1] * (SMALL + LARGE)}
    flagged = {one.strategy.name: one.at_edge for one in found.found}
    assert Knob.ENCODER in flagged["efin"]
    assert "at the edge" in tuning_text(tuning_document(found))
    assert found.found[0].tuned.columns()["lr_at_grid_edge"] is True


def test_the_same_command_goes_on_where_it_stopped_and_a_grown_study_pays_for_what_is_new(
    write_study: StudyWriter, planted: Any
) -> None:
    study = load_study(str(write_study(strategies=["efin"])))
    trainer = planted(study, {Part.ENCODER: 0.5})
    stopped = tune(
        study,
        (SMALL, LARGE),
        trainer.ledger,
        lambda prepared: Outcome(rows=[], survey=trainer(prepared).survey, stopped_by=15),
    )
    assert isinstance(stopped, Outcome)
    whole = tune(study, (SMALL, LARGE), trainer.ledger, trainer)
    again = tune(study, (SMALL, LARGE), trainer.ledger, trainer)
    assert isinstance(whole, Tuning)
    assert isinstance(again, Tuning)
    assert tuning_document(again) == tuning_document(whole)
    last = trainer.rounds[-1]
    assert last.reused_runs == len(last.plan.runs)
    grown = load_study(str(write_study(strategies=["efin", "joint"])))
    trainer.rule |= Planted(grown, trainer.out, {}).rule
    more = tune(grown, (SMALL, LARGE), trainer.ledger, trainer)
    assert isinstance(more, Tuning)
    assert trainer.rounds[-1].reused_runs > whole.points
    assert tuning_document(more)["found"][0] == tuning_document(whole)["found"][0]


def test_the_written_study_trains_with_the_rates_found(write_study: StudyWriter, planted: Any, tmp_path: Path) -> None:
    study = load_study(str(write_study(strategies=["efin", "joint"])))
    trainer = planted(study, {Part.ENCODER: 1.0, Part.PROJECTOR: -0.5})
    found = tune(study, (SMALL, LARGE), trainer.ledger, trainer)
    assert isinstance(found, Tuning)
    write_tuned_study(found, tmp_path / "tuned.yaml")
    tuned = load_study(str(tmp_path / "tuned.yaml"))
    for run in enumerate_runs(tuned):
        (one,) = [one for one in found.found if one.strategy.name == run.strategy.name]
        rates = {stage.name: dict(stage.trains) for stage in run.strategy.stages}
        assert rates == one.tuned.rates
    orders = prepare_runs(tuned, enumerate_runs(tuned), Ledger(tmp_path / "new"))
    assert orders.plan.runs[0].spec.budget_flops == study.budgets_flops[0]


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


def test_the_default_budgets_are_the_study_s_smallest_and_four_times_that(write_study: StudyWriter) -> None:
    assert tuning_budgets(load_study(str(write_study())), None) == (SMALL, LARGE)
