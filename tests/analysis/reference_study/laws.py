"""Question 1: the law of each strategy over the range, and whether forecasts from the lower decades come true.

Laws are those of the answer that averages laws: the family (y - E) / (1 - y)^a = A C^-b on a grid, weighed by the runs.
An exponent counts as identified where the ends of its 90 % interval lie within a factor of two, a floor where its
interval excludes zero. The grid of exponents has steps of a fifth; intervals reach half a step beyond its places.
"""

import json
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean, geometric_mean

import numpy as np
from reference_study.tables import BASELINE, DECADE, ENCODER_FIRST, MAIN, Study

from analysis.curves.curve_fitting import fit_curves
from analysis.curves.curves import Curve
from analysis.curves.predict import predict
from analysis.fitting.intervals import percentiles
from analysis.forecasting.interval_score import interval_score
from analysis.forecasting.law_grid import EXPONENTS, laws_below
from analysis.forecasting.outlook import Outlook
from analysis.registering.outcome import ForecastOutcome, ForecastScore, score_registered
from analysis.registering.record import FORECASTS_FILE, RegisteredForecast
from analysis.tables.seed_averaged_points import Point, points_of, run_error
from analysis.tables.table import Table
from scaling.ledger.records import RUNS_FILE

NARROW = 2.0
"""An exponent is identified where the ends of its interval are within this factor."""
HALF_STEP = float(np.sqrt(EXPONENTS[1] / EXPONENTS[0]))
ROUNDED = 1.0 + 1e-6


def laws(studies: Sequence[Study]) -> list[dict[str, object]]:
    """One entry a curve: exponent and floor with their 90 % intervals, and whether the runs identify them."""
    return [law(study, curve) for study in studies if study.curves is not None for curve in study.curves.curves]


def law(study: Study, curve: Curve) -> dict[str, object]:
    found: dict[str, object] = {
        "study": study.name,
        "strategy": curve.strategy,
        "encoder": curve.encoder,
        "llm": curve.llm,
        "status": curve.status,
        "from_flops": curve.domain["C"][0],
        "to_flops": curve.domain["C"][1],
        "warnings": codes(curve.warnings),
    }
    if curve.outlook is None:
        return found
    exponents, floors = drawn_laws(curve.outlook)
    return {
        **found,
        "runs": len(curve.outlook.runs.flops_N),
        "exponent": parameter(exponents, lambda low, high: high <= NARROW * low, HALF_STEP),
        "floor": parameter(floors, lambda low, high: low > 0.0),
        "noise_of_a_run": curve.outlook.predictive.noise(),
    }


def drawn_laws(outlook: Outlook) -> tuple[np.ndarray, np.ndarray]:
    """Exponents and floors (draws,) of the posterior; floors are error rates."""
    grid = laws_below(float(outlook.runs.errors_N.min())).chosen(outlook.components.law_K)
    counts = outlook.components.count_K
    return np.repeat(grid.exponent_G, counts), outlook.scale * np.repeat(grid.floor_G, counts)


def parameter(draws: np.ndarray, told: Callable[[float, float], bool], half_step: float = 1.0) -> dict[str, object]:
    low, high = percentiles(draws)
    ends = [low / half_step, high * half_step]
    return {"median": float(np.median(draws)), "interval": ends, "identified": told(*ends)}


def codes(notes: Sequence) -> list[str]:
    return sorted({note.code for note in notes})


def hidden(study: Study) -> dict[str, object] | None:
    """Forecasts of every run above a tenth of the largest budget, from all runs of at most that; None where fewer than
    two budgets are left to fit, or none to forecast.
    """
    if study.table is None:
        return None
    budgets = sorted({row["budget_flops"] for row in study.table.rows})
    seen = [budget for budget in budgets if budget * DECADE <= budgets[-1] * ROUNDED]
    if len(seen) < 2 or len(seen) == len(budgets):
        return None
    below = [i for i, row in enumerate(study.table.rows) if row["budget_flops"] in seen]
    curves = fit_curves(study.table.select(below)).curves
    pairs = list(forecasts(curves, study.table.without(below), seen[-1]))
    return {"study": study.name, "fitted_to_flops": seen[-1], "pairs": pairs, "score": score(pairs)} if pairs else None


def forecasts(curves: Sequence[Curve], beyond: Table, largest: float) -> Iterator[dict[str, object]]:
    """One entry for each curve and budget of the table `beyond`."""
    by_identity = {curve.identity: curve for curve in curves if curve.answers}
    for point in points_of(beyond)[0]:
        if point.curve in by_identity:
            yield forecast(by_identity[point.curve], point, beyond, largest)


def forecast(curve: Curve, point: Point, table: Table, largest: float) -> dict[str, object]:
    said, errors = predict(curve, point.flops), [run_error(table, i) for i in point.rows]
    assert said.interval is not None
    assert said.cer is not None
    low, high = said.interval
    truth = math.exp(fmean(map(math.log, errors)))
    budget = table.rows[point.rows[0]]["budget_flops"]
    return {
        "strategy": curve.strategy,
        "encoder": curve.encoder,
        "llm": curve.llm,
        "budget_flops": budget,
        "times_the_largest_fitted": budget / largest,
        "cer": said.cer,
        "interval": [low, high],
        "truth": truth,
        "held": low <= truth <= high,
        "runs": len(errors),
        "runs_held": sum(low <= error <= high for error in errors),
        "interval_score": fmean(interval_score(low, high, error, said.level) for error in errors),
    }


def score(pairs: Sequence[dict]) -> dict[str, object]:
    """Shares and means over pairs of a curve and a budget, seeds of a pair once; `runs` counts every seed."""
    runs = sum(pair["runs"] for pair in pairs)
    return {
        "pairs": len(pairs),
        "pairs_held": sum(pair["held"] for pair in pairs),
        "runs": runs,
        "runs_held": sum(pair["runs_held"] for pair in pairs),
        "interval_score": fmean(pair["interval_score"] for pair in pairs),
        "truth_over_prediction": math.exp(fmean(math.log(pair["truth"] / pair["cer"]) for pair in pairs)),
    }


def hidden_together(studies: Sequence[Study]) -> dict[str, object]:
    """The same of every study, and of all their pairs together."""
    of_each = [found for study in studies if (found := hidden(study)) is not None]
    pairs = [pair for found in of_each for pair in found["pairs"]]
    return {"studies": of_each, "together": score(pairs) if pairs else None}


def registered(folder: Path, studies: Sequence[Study]) -> dict[str, object]:
    """The forecasts of every study, held against its runs: those of the main study in `folder`/forecasts.jsonl, those
    of reference_AXIS in `folder`/AXIS/forecasts.jsonl, where `make study` puts its table.
    """
    scores, waiting = {}, 0
    for study in studies:
        file = folder / study.name.removeprefix(MAIN).removeprefix("_") / FORECASTS_FILE
        lines = file.read_text("utf-8").splitlines() if file.exists() else []
        if lines and study.table is not None:
            scores[study.name] = scored(study.table, lines)
        else:
            waiting += len(lines)
    outcomes = tuple(outcome for own in scores.values() for outcome in own.outcomes)
    counted = [outcome for outcome in outcomes if outcome.counted]
    return {
        "missed": [
            {
                "study": name,
                "strategy": outcome.forecast.strategy,
                "flops": outcome.forecast.flops,
                "cer": outcome.forecast.cer,
                "interval": list(outcome.forecast.interval),
                "truth": outcome.truth,
            }
            for name, own in scores.items()
            for outcome in own.outcomes
            if outcome.counted and not outcome.held
        ],
        "leaders": leaders(scores),
        "truth_over_prediction_at_ten_times": {
            strategy: geometric_mean(ratios)
            for strategy in (ENCODER_FIRST, BASELINE)
            if (ratios := [one.ratio for one in counted if one.forecast.strategy == strategy and far(one.forecast)])
        },
        "lines": len(outcomes) + waiting,
        "of_other_tables": sum(not outcome.table_found for outcome in outcomes),
        "together": ForecastScore(outcomes=outcomes).as_dict() if outcomes else None,
        "studies": {name: own.as_dict() for name, own in scores.items()},
    }


def far(forecast: RegisteredForecast) -> bool:
    """Whether it lies ten times above the largest run then, but for rounding."""
    return forecast.flops * ROUNDED >= DECADE * forecast.largest_budget_flops


def leaders(scores: Mapping[str, ForecastScore]) -> dict[str, object]:
    """At how many budgets both strategies were forecast, and at which the medians named the wrong one as ahead."""
    by_budget: dict[tuple[object, ...], dict[str, ForecastOutcome]] = {}
    for name, own in scores.items():
        for one in own.outcomes:
            said = one.forecast
            if one.counted and said.strategy in (ENCODER_FIRST, BASELINE):
                by_budget.setdefault((name, said.encoder, said.llm, said.flops), {})[said.strategy] = one
    named = []
    for asked, each in by_budget.items():
        if len(each) == 2:
            own, other = (each[name] for name in (ENCODER_FIRST, BASELINE))
            wrong = (own.forecast.cer < other.forecast.cer) != (own.truth < other.truth)
            named.append({**dict(zip(("study", "encoder", "llm", "flops"), asked, strict=True)), "wrong": wrong})
    return {"budgets": len(named), "wrong": sum(one["wrong"] for one in named), "named": named}


def scored(table: Table, lines: Sequence[str]) -> ForecastScore:
    """What `asr-scaling forecast` says of these lines beside this table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / RUNS_FILE).write_text("".join(json.dumps(row) + "\n" for row in table.rows), "utf-8")
        (folder / FORECASTS_FILE).write_text("".join(line + "\n" for line in lines), "utf-8")
        return score_registered(folder)
