"""Questions 2 and 3: what encoder-first training saves at each budget, where curves cross, and the paper's numbers.

Every comparison is `asr-scaling compare` of one pair of models, with curves that learn from the whole study. Its
verdict is `ahead` or `behind` where the 90 % interval of the CER saved excludes zero, else `open`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from reference_study.laws import ROUNDED, codes
from reference_study.tables import BASELINE, ENCODER_FIRST, FROZEN, Pair, Place, hearing, mean_errors

from analysis.comparing.compare import compare_all
from analysis.comparing.compare_curves import compare_curves
from analysis.comparing.comparison import Comparison
from analysis.comparing.paired_seeds import correlation
from analysis.comparing.ratio import Ratio, ratio_of
from analysis.curves.curves import FAR, Curve, Curves
from analysis.fitting.intervals import Interval
from analysis.tables.seed_averaged_points import points_of
from analysis.tables.table import Table
from scaling.scoring.interval import LEVEL

CER_SAVED, FLOPS_SAVED = 0.211, 0.499
"""What Mu et al. (2025) report for encoder-first training: CER saved at equal FLOPs, and FLOPs saved at equal CER."""
GRID = 60
"""Budgets at which a crossing is looked for, from the smallest fitted to ten times the largest."""
DEAF = "not heard"
"""The verdict at a budget at which one side does not hear the speech yet."""
REACHED, NEGATIVE = "reached", "the sign is the other way"
"""Where an interval lies beside a number of the paper: all above it, and all below zero."""
OPPONENTS = ((ENCODER_FIRST, BASELINE), (ENCODER_FIRST, FROZEN), (FROZEN, BASELINE))


def gains(places: Sequence[Place]) -> list[dict[str, object]]:
    """One entry for each place and pair of strategies; a place without runs says so and nothing else."""
    found: list[dict[str, object]] = []
    known: dict[object, dict[str, object]] = {}  # a place may stand on several axes
    for place in places:
        if not place.trained:
            found.append({**place.head, "trained": False})
            continue
        for strategy, against in OPPONENTS:
            if {strategy, against} <= set(place.study.strategies):
                asked = place.study.name, place.pair, strategy, against
                known[asked] = known.get(asked) or gain(place, strategy, against)
                found.append({**place.head, "trained": True, **known[asked]})
    return found


def gain(place: Place, strategy: str, against: str) -> dict[str, object]:
    """What `strategy` saves against another at the largest budget of both, in every currency; at each budget; and where
    the curves cross.
    """
    table, curves = of_pair(place)
    top = place.study.top(place.pair)
    largest = compared(curves, table, strategy, against, top)
    together = 0.0 if largest.details is None else largest.details.pair_correlation
    return {
        "strategy": strategy,
        "against": against,
        "top_budget_flops": top,
        "planned_top_flops": place.study.budgets[-1],
        "at_top": {
            **heard(summary(largest), hearing(table, place.pair, largest.flops, (strategy, against))),
            "currencies": [*currencies(largest)],
            "warnings": codes(largest.warnings),
        },
        "crossings": crossings(largest.curve, largest.baseline, together),
        "budgets": [
            heard(
                summary(compare_curves(largest.curve, largest.baseline, budget, together)),
                hearing(table, place.pair, budget, (strategy, against)),
            )
            | {"budget_flops": budget, "measured": measured}
            for budget, measured in measured_at(place, table, strategy, against)
        ],
    }


def paired(curves: Curves, table: Table, curve: Curve, baseline: Curve) -> float:
    """The correlation of runs of two curves that share budget and seed, as `compare` takes it."""
    used = curves.used(table)
    points = points_of(used)[0]
    one, other = (tuple(point for point in points if point.curve == each.identity) for each in (curve, baseline))
    return correlation(used, ((curve, one), (baseline, other)))


def of_pair(place: Place) -> tuple[Table, Curves]:
    table, curves = place.study.of(place.pair), place.study.curves
    assert table is not None
    assert curves is not None
    return table, curves_of_pair(curves, place.pair)


def curves_of_pair(curves: Curves, pair: Pair) -> Curves:
    return replace(curves, curves=tuple(curve for curve in curves.curves if (curve.encoder, curve.llm) == pair))


def compared(curves: Curves, table: Table, strategy: str, against: str, flops: float | None) -> Comparison:
    """One strategy against another at `flops`."""
    two = replace(curves, curves=tuple(one for one in curves.curves if one.strategy in (strategy, against)))
    (comparison,) = compare_all(two, against, flops, table)
    return comparison


def measured_at(place: Place, table: Table, *strategies: str) -> Iterator[tuple[float, dict[str, float]]]:
    for budget in place.study.trained_budgets(place.pair):
        errors = mean_errors(table, place.pair, budget)
        yield budget, {name: errors[name] for name in strategies}


def summary(comparison: Comparison) -> dict[str, object]:
    """What a comparison says at its budget. `below_the_fits`: one side has no run there that was fitted."""
    smallest = max(curve.domain["C"][0] for curve in (comparison.curve, comparison.baseline))
    return {
        "flops": comparison.flops,
        "below_the_fits": comparison.flops * 1.1 < smallest,
        "verdict": verdict(comparison.cer_reduction_interval),
        "cer_saved": comparison.cer_reduction,
        "cer_saved_interval": ends(comparison.cer_reduction_interval),
        "flops_saved": comparison.flops_saved,
        "flops_saved_interval": ends(comparison.flops_saved_interval),
    }


def heard(said: dict[str, object], hears: dict[str, list[int]]) -> dict[str, object]:
    """A summary with its runs that hear: where fewer than half of a side do, an error says nothing of the speech, and
    nobody is ahead.
    """
    deaf = any(2 * hearing_runs < runs for hearing_runs, runs in hears.values())
    return {**said, "verdict": DEAF if deaf else said["verdict"], "hears": hears}


def verdict(interval: Interval | None) -> str:
    """Who is ahead: told where the interval of the CER saved excludes zero."""
    if interval is None:
        return "not known"
    low, high = interval
    return "ahead" if low > 0.0 else "behind" if high < 0.0 else "open"


def currencies(comparison: Comparison) -> Iterator[dict[str, object]]:
    """The savings in each currency that the runs recorded, beside the paper's two numbers."""
    for saving in () if comparison.details is None else comparison.details.currencies:
        yield {
            "currency": saving.currency_name,
            "flops": saving.flops,
            "cer_saved": saving.cer_reduction,
            "cer_saved_interval": ends(saving.cer_reduction_interval),
            "cer_saved_of_the_paper": beside(saving.cer_reduction_interval, CER_SAVED),
            "flops_saved": saving.flops_saved,
            "flops_saved_interval": ends(saving.flops_saved_interval),
            "flops_saved_of_the_paper": beside(saving.flops_saved_interval, FLOPS_SAVED),
        }


def beside(interval: Interval | None, paper: float) -> str:
    """Where a 90 % interval lies beside a number of the paper."""
    if interval is None:
        return "not known"
    low, high = interval
    if low >= paper:
        return REACHED
    if high < 0.0:
        return NEGATIVE
    return "possible" if high >= paper else "short of it"


def crossings(curve: Curve, baseline: Curve, together: float) -> list[dict[str, object]]:
    """Where the curves cross, and between which budgets they may: where the 90 % interval of their ratio holds zero
    around the crossing; None for an end that no budget looked at excludes. `together`: see `paired`.
    """
    ratio = ratio_of(curve, baseline, together)
    return [] if ratio is None else list(_crossings(ratio, curve, baseline))


def _crossings(ratio: Ratio, curve: Curve, baseline: Curve) -> Iterator[dict[str, object]]:
    smallest = max(one.domain["C"][0] for one in (curve, baseline))
    largest = max(one.largest_flops for one in (curve, baseline))
    grid = np.geomspace(smallest, FAR * largest, GRID)
    middle, low, high = ratio.at(grid, grid, LEVEL)
    told = (low > 0.0) | (high < 0.0)
    for i in np.flatnonzero(np.sign(middle[:-1]) * np.sign(middle[1:]) < 0):
        below, above = np.flatnonzero(told[: i + 1]), np.flatnonzero(told[i + 1 :])
        share = middle[i] / (middle[i] - middle[i + 1])
        at = float(grid[i] * (grid[i + 1] / grid[i]) ** share)
        yield {
            "at_flops": at,
            "interval": [
                float(grid[below[-1]]) if below.size else None,
                float(grid[i + 1 + above[0]]) if above.size else None,
            ],
            "within_the_runs": at <= largest * ROUNDED,
            "then": "ahead" if middle[i + 1] < 0.0 else "behind",
        }


def ends(interval: Interval | None) -> list[float | None] | None:
    """An interval as JSON has it: null for an end that is infinite."""
    return None if interval is None else [end if np.isfinite(end) else None for end in interval]
