"""One fitted curve against another: error at equal FLOPs and FLOPs at equal error, with intervals that carry both
fits.
"""

import math

from analysis.comparing.comparison import Comparison
from analysis.comparing.ratio import flops_saved_interval, ratio_of
from analysis.curves.curves import VERY_FAR, Curve, extrapolation_notes
from analysis.fitting.root import crossing
from analysis.notes import Note
from scaling.scoring.interval import LEVEL


def compare_curves(curve: Curve, baseline: Curve, flops: float | None = None, correlation: float = 0.0) -> Comparison:
    """`curve` against `baseline` at `flops`, or the largest budget of both; `correlation` is that of paired runs."""
    budget = flops or min(curve.largest_flops, baseline.largest_flops)
    reduction, reduction_interval, saving, saving_interval = None, None, None, None
    notes = [*curve.warnings, *baseline.warnings, *extrapolation_notes(curve, {"C": budget})]
    if curve.answers and baseline.answers:
        target_cer = baseline.cer(budget)
        reduction = 1.0 - curve.cer(budget) / target_cer
        needed_flops = crossing(lambda flops: math.log(curve.cer(flops) / target_cer), budget)
        if curve.extrapolation(needed_flops) <= VERY_FAR:
            saving = 1.0 - needed_flops / budget
        else:
            what = f"{curve.label} does not reach CER {target_cer:.4g}, that of {baseline.label},"
            notes.append(Note("not_reached", f"{what} within {VERY_FAR:.0f} times the FLOPs of its largest run."))
        ratio = ratio_of(curve, baseline, correlation)
        if ratio is not None:
            reduction_interval = ratio.reduction_interval(budget, LEVEL)
            saving_interval = flops_saved_interval(ratio, budget, LEVEL)
            notes += _notes_of_all_runs(curve, baseline, budget)
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


def _notes_of_all_runs(curve: Curve, baseline: Curve, flops: float) -> list[Note]:
    """What the comparison would be with the runs that were set aside as failed."""
    if curve.of_all_runs is None and baseline.of_all_runs is None:
        return []
    ratio = ratio_of(curve.as_of_all_runs(), baseline.as_of_all_runs())
    if ratio is None:
        return []
    low, high = ratio.reduction_interval(flops, LEVEL)
    message = f"With the runs that were set aside, {curve.label} would save {low:.0%} to {high:.0%} of the CER"
    return [Note("set_aside_effect", f"{message} of {baseline.label}.")]
