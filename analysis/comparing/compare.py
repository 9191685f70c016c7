"""Comparing the strategies of a study with a baseline, each with the models that serve it best.

The sampling of the test set is common to both sides and cancels on this test. What another test of the same kind would
add is given beside (`cer_reduction_test_sampling`).
"""

from dataclasses import replace

from analysis.comparing.compare_curves import compare_curves
from analysis.comparing.comparison import Comparison, ComparisonDetails, EqualHours, Savings
from analysis.comparing.currencies import disagreement, savings_by_currency
from analysis.comparing.equal_hours import hours_of_every_run, results_at_equal_hours
from analysis.comparing.paired_seeds import correlation
from analysis.comparing.ratio import ProfileRatio, Ratio, ranges, ratio_of, with_one_floor
from analysis.comparing.tuning_fairness import unequal_tuning
from analysis.comparing.utterance_sampling import sampling_error
from analysis.curves.curves import Curve, Curves, lowest
from analysis.curves.data_checks import check_shared_scale
from analysis.curves.traces import traces_of
from analysis.notes import Note
from analysis.tables.seed_averaged_points import Point, points_of
from analysis.tables.table import Table
from scaling.errors import InputError
from scaling.scoring.interval import LEVEL


def compare_all(
    curves: Curves, baseline: str, flops: float | None = None, table: Table | None = None
) -> list[Comparison]:
    """Every other strategy against `baseline`, each with its best models. `by_model` compares the pairs of models that
    both were run with.

    Without `flops`, strategies are compared at the largest budget that both have reached. With the `table` of runs,
    paired seeds and utterances are used. Raises InputError where `baseline` is unknown or the only strategy.
    """
    curves.of(strategy=baseline)
    table = None if table is None else curves.used(table)
    others = [name for name in curves.strategies if name != baseline]
    if not others:
        raise InputError(f"baseline: {baseline!r} is the only strategy; there is nothing to compare it with")
    return [_compare_strategies(curves, name, baseline, flops, table, len(others)) for name in others]


def _compare_strategies(
    curves: Curves, strategy: str, baseline: str, flops: float | None, table: Table | None, compared: int
) -> Comparison:
    """One strategy against the baseline; `compared` is how many strategies are."""
    own, others = curves.of(strategy=strategy), curves.of(strategy=baseline)
    budget = flops or min(max(curve.largest_flops for curve in side) for side in (own, others))
    first, second = lowest(own, budget), lowest(others, budget)
    pairs = [(a, b) for a in own for b in others if (a.encoder, a.llm) == (b.encoder, b.llm)]
    by_model = tuple(compare_curves(a, b, flops, _pair_correlation(a, b, table)) for a, b in pairs)
    pair_correlation = _pair_correlation(first, second, table)
    overall = compare_curves(first, second, budget, pair_correlation)
    savings = () if table is None else savings_by_currency(curves, table, overall, pair_correlation)
    return replace(
        overall,
        by_model=by_model if len(own) > 1 or len(others) > 1 else (),
        details=_details(overall, savings, table, pair_correlation, compared),
        warnings=(*overall.warnings, *disagreement(savings), *_unfairness(first, second, table)),
    )


def _unfairness(first: Curve, second: Curve, table: Table | None) -> list[Note]:
    """Notes on errors or tuning of both sides that differ. Raises InputError where their FLOPs share no scale."""
    if table is None:
        return []
    points = (*_points(table, first), *_points(table, second))
    return [*check_shared_scale(table, points), *unequal_tuning(table, first, second)]


def _details(
    overall: Comparison, savings: tuple[Savings, ...], table: Table | None, pair_correlation: float, compared: int
) -> ComparisonDetails | None:
    first, second = overall.curve, overall.baseline
    ratio = ratio_of(first, second, pair_correlation)
    if ratio is None:
        return None
    smallest = max(curve.domain["C"][0] for curve in (first, second))
    largest = max(curve.largest_flops for curve in (first, second))
    judged = ranges(ratio, smallest, largest)
    return ComparisonDetails(
        cer_reduction_simultaneous_interval=ratio.reduction_interval(overall.flops, LEVEL ** (1.0 / compared)),
        pair_correlation=pair_correlation,
        better_between=judged.better,
        worse_between=judged.worse,
        crossings=judged.crossings,
        cer_reduction_one_floor=_reduction_with_one_floor(ratio, overall.flops),
        cer_reduction_test_sampling=_test_sampling(first, second, overall.flops, table),
        currencies=savings,
        equal_unique_hours=None if table is None else _equal_hours(first, second, table),
    )


def _reduction_with_one_floor(ratio: Ratio, flops: float) -> float | None:
    """For two laws; outlooks share what they say of floors."""
    refitted = with_one_floor(ratio.first, ratio.second) if isinstance(ratio, ProfileRatio) else None
    if refitted is None:
        return None
    cer, baseline_cer = (float(fit.predict({"C": [flops]})[0]) for fit in refitted)
    return 1.0 - cer / baseline_cer


def _equal_hours(first: Curve, second: Curve, table: Table) -> EqualHours | None:
    traces = traces_of(table, (first, second))
    results = {result.trace.curve.identity: result for result in results_at_equal_hours(traces)}
    if len(results) < 2 or hours_of_every_run(traces) is not None:
        return None
    result, baseline = results[first.identity], results[second.identity]
    return EqualHours(
        hours=result.hours,
        cer=result.cer,
        baseline_cer=baseline.cer,
        cer_reduction=1.0 - result.cer / baseline.cer,
        flops=result.flops,
        baseline_flops=baseline.flops,
    )


def _pair_correlation(first: Curve, second: Curve, table: Table | None) -> float:
    if table is None or not first.answers or not second.answers:
        return 0.0
    return correlation(table, ((first, _points(table, first)), (second, _points(table, second))))


def _test_sampling(first: Curve, second: Curve, flops: float, table: Table | None) -> float | None:
    """The standard deviation that another test adds to the reduction: that of the log ratio times the ratio."""
    if table is None:
        return None
    sides = (first, _points(table, first)), (second, _points(table, second))
    error = sampling_error(table, sides, flops)
    return None if error is None else error * first.cer(flops) / second.cer(flops)


def _points(table: Table, curve: Curve) -> tuple[Point, ...]:
    return tuple(point for point in points_of(table)[0] if point.curve == curve.identity)
