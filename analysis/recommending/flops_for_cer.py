"""The compute that a wanted CER needs: the strategy and models that reach it with the fewest FLOPs."""

import math

from analysis.curves.curves import VERY_FAR, Curve, Curves
from analysis.fitting.intervals import Interval
from analysis.fitting.root import ROUGH, crossing
from analysis.notes import Note
from analysis.recommending.recommendation import Recommendation, lifetime_flops, recommendation_at
from analysis.tables.table import Table
from scaling.cost.hardware import Hardware
from scaling.scoring.interval import LEVEL


def recommend_for_cer(
    curves: Curves, table: Table, cer: float, hardware: Hardware | None = None, lifetime_hours: float = 0.0
) -> Recommendation:
    """What reaches `cer` with the fewest FLOPs, those of `lifetime_hours` of recognition too; with their interval."""
    table = curves.used(table)
    needed = [(curve, _flops_to_reach(curve, cer)) for curve in curves.curves if curve.answers]
    reaching = [(curve, flops) for curve, flops in needed if 0.0 < flops <= VERY_FAR * curve.largest_flops]
    if not reaching:
        return _unreached(curves, cer)

    def order(candidate: tuple[Curve, float]) -> tuple[bool, float]:
        curve, flops = candidate
        return curve.status == "too_few_points", flops + lifetime_flops(curve, table, lifetime_hours)

    curve, flops = min(reaching, key=order)
    ends = _flops_interval(curve, cer, flops)
    return recommendation_at(curve, table, flops, ends, [(curve, flops)], [], hardware, lifetime_hours)


def _unreached(curves: Curves, cer: float) -> Recommendation:
    if not any(curve.answers for curve in curves.curves):
        note = Note("too_few_points", "No strategy was run at the two budgets that an answer needs.")
        return Recommendation(status="too_few_points", warnings=(note,))
    least = {curve.label: curve.cer(VERY_FAR * curve.largest_flops) for curve in curves.curves if curve.answers}
    each = ", ".join(f"{label} {value:.4g}" for label, value in sorted(least.items(), key=lambda item: item[1]))
    what = f"No curve reaches CER {cer:.4g} within {VERY_FAR:.0f} times the FLOPs of its largest run."
    note = Note("not_reached", f"{what} The lowest there: {each}.")
    return Recommendation(status="not_identified", warnings=(note,))


def _flops_to_reach(curve: Curve, cer: float) -> float:
    return crossing(lambda flops: curve.cer(flops) - cer, curve.largest_flops)


def _flops_interval(curve: Curve, cer: float, flops: float) -> Interval:
    """All FLOPs at which the curve may equal `cer`."""
    if curve.ends({"C": [flops]}, LEVEL) is None:
        return 0.0, math.inf

    def end(side: int) -> float:
        return crossing(lambda trial: _end(curve, trial, side) - cer, flops, ROUGH)

    return end(0), end(1)


def _end(curve: Curve, flops: float, side: int) -> float:
    ends = curve.ends({"C": [flops]}, LEVEL)
    return math.nan if ends is None else float(ends[side][0])
