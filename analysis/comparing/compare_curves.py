"""One fitted curve against another: error at equal FLOPs and FLOPs at equal error, with intervals that carry both
fits.
"""

import math

from analysis.comparing.comparison import Comparison
from analysis.comparing.ratio import Ratio, flops_saved_interval
from analysis.curves.curves import Curve, extrapolation_notes
from analysis.fitting.root import crossing
from analysis.notes import Note
from scaling.scoring.interval import LEVEL


def compare_curves(curve: Curve, baseline: Curve, flops: float | None = None, correlation: float = 0.0) -> Comparison:
    """`curve` against `baseline` at `flops`, by default the largest budget that both have reached.

    `correlation` is that of their paired runs (`paired_seeds.correlation`).
    """
    budget = flops or min(curve.largest_flops, baseline.largest_flops)
    reduction, reduction_interval, saving, saving_interval = None, None, None, None
    notes = [*curve.warnings, *baseline.warnings, *extrapolation_notes(curve, {"C": budget})]
    if curve.fit is not None and baseline.fit is not None:
        target_cer = baseline.cer(budget)
        reduction = 1.0 - curve.cer(budget) / target_cer
        needed_flops = crossing(lambda flops: math.log(curve.cer(flops) / target_cer), budget)
        if math.isfinite(needed_flops):
            saving = 1.0 - needed_flops / budget
        else:
            what = f"{curve.label} does not reach the {target_cer:.4g} of {baseline.label}"
            notes.append(Note("not_reached", f"{what}: {_why_not_reached(curve.fit.theta.get('E', 0.0))}"))
        if curve.fit.dof >= 1 and baseline.fit.dof >= 1:
            ratio = Ratio(first=curve.fit, second=baseline.fit, correlation=correlation)
            reduction_interval = ratio.reduction_interval(budget, LEVEL)
            saving_interval = flops_saved_interval(ratio, budget, LEVEL)
    return Comparison(
        curve=curve,
        baseline=baseline,
        flops=budget,
        cer_reduction=reduction,
        cer_reduction_interval=reduction_interval,
        flops_saved=saving,
        flops_saved_interval=saving_interval,
        by_model=(),
        details=None,
        warnings=tuple(notes),
    )


def _why_not_reached(floor: float) -> str:
    return f"its floor is {floor:.4g}" if floor > 0.0 else "not within a million times these FLOPs"
