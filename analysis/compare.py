"""Comparing strategies: error at equal FLOPs and FLOPs at equal error, with intervals that carry both fits.

The interval of a difference of two curves joins their profile intervals by the method of variance estimates recovery
(Zou and Donner 2008), which keeps the asymmetry that floors cause: with d = a - b, the lower end is
d - hypot(a - a_low, b_high - b) and the upper end d + hypot(a_high - a, b - b_low), all in log error.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analysis.curves import Curve, Curves, extrapolation_notes, lowest
from analysis.fitting import LEVEL, Fit
from analysis.invert import crossing
from analysis.notes import Note, Status, as_text
from analysis.solve import SMALLEST_ERROR
from scaling.errors import InputError

_GRAVITY: tuple[Status, ...] = ("ok", "at_bound", "not_identified", "too_few_points", "not_converged")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`curve` against `baseline` at `flops`. Shares: 0.1 is a tenth less error, or a tenth fewer FLOPs.

    None: the fits do not say. A lower end of `flops_saved` of minus infinity: the strategy may never reach that error.
    """

    curve: Curve
    baseline: Curve
    flops: float
    cer_reduction: float | None
    cer_reduction_interval: tuple[float, float] | None
    flops_saved: float | None
    flops_saved_interval: tuple[float, float] | None
    by_model: tuple["Comparison", ...]
    warnings: tuple[Note, ...]

    @property
    def status(self) -> Status:
        """The worse of both fits' statuses."""
        return max(self.curve.status, self.baseline.status, key=_GRAVITY.index)

    def as_dict(self) -> dict[str, Any]:
        """The comparison as `compare --json` prints it."""
        document: dict[str, Any] = {
            "strategy": self.curve.strategy,
            "baseline": self.baseline.strategy,
            "encoder": self.curve.encoder,
            "llm": self.curve.llm,
            "baseline_encoder": self.baseline.encoder,
            "baseline_llm": self.baseline.llm,
            "flops": self.flops,
            "cer_reduction": self.cer_reduction,
            "cer_reduction_interval": self.cer_reduction_interval,
            "flops_saved": self.flops_saved,
            "flops_saved_interval": self.flops_saved_interval,
            "level": LEVEL,
            "extrapolation": max(self.curve.extrapolation(self.flops), self.baseline.extrapolation(self.flops)),
            "status": self.status,
            "warnings": as_text(self.warnings),
        }
        if self.by_model:
            document["by_model"] = [comparison.as_dict() for comparison in self.by_model]
        return document


def compare_all(curves: Curves, baseline: str, flops: float | None = None) -> list[Comparison]:
    """Every other strategy against `baseline`, each with its best models; pairs both were run with under `by_model`.

    Without `flops`, at the largest budget that both have reached.
    """
    against = curves.of(strategy=baseline)
    others = [name for name in curves.strategies if name != baseline]
    if not others:
        raise InputError(f"baseline: {baseline!r} is the only strategy; there is nothing to compare it with")
    return [_strategies(curves.of(strategy=name), against, flops) for name in others]


def compare(curve: Curve, baseline: Curve, flops: float | None = None, level: float = LEVEL) -> Comparison:
    """One curve against another at `flops`, by default the largest budget that both have reached."""
    at = flops or min(curve.largest_flops, baseline.largest_flops)
    reduction, reduction_interval, saved, saved_interval = None, None, None, None
    notes = [*curve.warnings, *baseline.warnings, *extrapolation_notes(curve, {"C": at})]
    if curve.fit is not None and baseline.fit is not None:
        reduction = 1.0 - curve.cer(at) / baseline.cer(at)
        needed = _flops_to_reach(curve.fit, baseline.cer(at), at)
        saved = 1.0 - needed / at if math.isfinite(needed) else None
        if saved is None:
            notes.append(
                Note(
                    "not_reached",
                    f"{curve.label} does not reach the {baseline.cer(at):.4g} of {baseline.label}: {_why(curve)}",
                )
            )
        if curve.fit.dof >= 1 and baseline.fit.dof >= 1:
            low, high = log_ratio(curve.fit, baseline.fit, at, at, level)
            reduction_interval = (1.0 - math.exp(high), 1.0 - math.exp(low))
            saved_interval = _saved_interval(curve.fit, baseline.fit, at, level)
    return Comparison(
        curve=curve,
        baseline=baseline,
        flops=at,
        cer_reduction=reduction,
        cer_reduction_interval=reduction_interval,
        flops_saved=saved,
        flops_saved_interval=saved_interval,
        by_model=(),
        warnings=tuple(notes),
    )


def log_ratio(first: Fit, second: Fit, first_flops: float, second_flops: float, level: float) -> tuple[float, float]:
    """The interval of log(error of `first` / error of `second`), each at its own FLOPs."""
    a, a_low, a_high = _log_with_ends(first, first_flops, level)
    b, b_low, b_high = _log_with_ends(second, second_flops, level)
    return (a - b) - math.hypot(a - a_low, b_high - b), (a - b) + math.hypot(a_high - a, b - b_low)


def _strategies(ours: Sequence[Curve], theirs: Sequence[Curve], flops: float | None) -> Comparison:
    at = flops or min(max(curve.largest_flops for curve in side) for side in (ours, theirs))
    overall = compare(lowest(ours, at), lowest(theirs, at), at)
    pairs = [(a, b) for a in ours for b in theirs if (a.encoder, a.llm) == (b.encoder, b.llm)]
    by_model = tuple(compare(a, b, flops) for a, b in pairs) if len(ours) > 1 or len(theirs) > 1 else ()
    return Comparison(
        curve=overall.curve,
        baseline=overall.baseline,
        flops=at,
        cer_reduction=overall.cer_reduction,
        cer_reduction_interval=overall.cer_reduction_interval,
        flops_saved=overall.flops_saved,
        flops_saved_interval=overall.flops_saved_interval,
        by_model=by_model,
        warnings=overall.warnings,
    )


def _log_with_ends(fitted: Fit, flops: float, level: float) -> tuple[float, float, float]:
    at = {"C": [flops]}
    low, high = fitted.interval(at, level=level)
    return math.log(fitted.predict(at)[0]), math.log(max(low[0], SMALLEST_ERROR)), math.log(high[0])


def _flops_to_reach(fitted: Fit, cer: float, around_flops: float) -> float:
    return crossing(lambda flops: math.log(fitted.predict({"C": [flops]})[0] / cer), around_flops)


def _saved_interval(ours: Fit, theirs: Fit, flops: float, level: float) -> tuple[float, float]:
    """All 1 - C'/C for which "our error at C' equals theirs at C" cannot be rejected."""

    def end(side: int) -> float:
        def falling(trial: float) -> float:
            return log_ratio(ours, theirs, trial, flops, level)[side]

        return 1.0 - crossing(falling, flops) / flops

    return end(1), end(0)


def _why(curve: Curve) -> str:
    floor = 0.0 if curve.fit is None else curve.fit.theta.get("E", 0.0)
    return f"its floor is {floor:.4g}" if floor > 0.0 else "not within a million times these FLOPs"
