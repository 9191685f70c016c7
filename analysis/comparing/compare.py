"""Comparing strategies: error at equal FLOPs and FLOPs at equal error, with intervals that carry both fits.

The sampling of the test set is common to both sides and cancels on this test; what it would add on another test of the
same kind is given beside (`test_sampling`).
"""

import math
from dataclasses import dataclass, replace
from typing import Any

from analysis.comparing.currencies import Gain, converted, disagreement
from analysis.comparing.equal_hours import AtHours, at_equal_hours, hours_of_all
from analysis.comparing.paired import correlation, sampling_error
from analysis.comparing.ratio import Ranges, Ratio, ranges, saved, with_one_floor
from analysis.comparing.tuning_fairness import unequal_tuning
from analysis.curves.curves import Curve, Curves, extrapolation_notes, lowest
from analysis.curves.data_checks import check_shared_scale
from analysis.curves.traces import traces_of
from analysis.fitting.fit import Fit
from analysis.fitting.root import crossing
from analysis.notes import Note, Status, as_text
from analysis.tables.points import FLOPS, points_of
from analysis.tables.table import Table
from scaling.errors import InputError
from scaling.scoring.interval import LEVEL

_GRAVITY: tuple[Status, ...] = ("ok", "at_bound", "not_identified", "too_few_points", "not_converged")


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """What else is known of a comparison.

    `simultaneous_interval` of the reduction holds for all strategies compared together (Sidak). `correlation` is that
    of paired runs. `one_floor_reduction` is the reduction where both laws share one floor. `test_sampling` is the
    standard deviation that another test of the same kind adds to the reduction. `currencies` hold the gain by each kind
    of FLOPs that the runs recorded, charged first. `equal_hours` is what both scored (measured, the strategy first) at
    the most unique hours of audio that both heard; where all runs heard the same, there is no such view. None or empty:
    not known.
    """

    simultaneous_interval: tuple[float, float] | None
    correlation: float
    ranges: Ranges | None
    one_floor_reduction: float | None
    test_sampling: float | None
    currencies: tuple[Gain, ...]
    equal_hours: tuple[AtHours, AtHours] | None

    def as_dict(self) -> dict[str, Any]:
        """The keys that `compare --json` adds."""
        return {
            "cer_reduction_simultaneous_interval": self.simultaneous_interval,
            "pair_correlation": self.correlation,
            "better_between": None if self.ranges is None else self.ranges.better,
            "worse_between": None if self.ranges is None else self.ranges.worse,
            "crossings": [] if self.ranges is None else self.ranges.crossings,
            "cer_reduction_one_floor": self.one_floor_reduction,
            "cer_reduction_test_sampling": self.test_sampling,
            "currencies": [gain.as_dict() for gain in self.currencies],
            "equal_unique_hours": None if self.equal_hours is None else _hours_document(self.equal_hours),
        }


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
    depth: Depth | None
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
        if self.depth is not None:
            document.update(self.depth.as_dict())
        if self.by_model:
            document["by_model"] = [comparison.as_dict() for comparison in self.by_model]
        return document


def compare_all(
    curves: Curves, baseline: str, flops: float | None = None, table: Table | None = None
) -> list[Comparison]:
    """Every other strategy against `baseline`, each with its best models; pairs both were run with under `by_model`.

    Without `flops`, at the largest budget that both have reached. With the `table` of runs, paired seeds and utterances
    are used.
    """
    curves.of(strategy=baseline)
    others = [name for name in curves.strategies if name != baseline]
    if not others:
        raise InputError(f"baseline: {baseline!r} is the only strategy; there is nothing to compare it with")
    return [_strategies(curves, name, baseline, flops, table, len(others)) for name in others]


def compare(
    curve: Curve, baseline: Curve, flops: float | None = None, level: float = LEVEL, correlation: float = 0.0
) -> Comparison:
    """One curve against another at `flops`, by default the largest budget that both have reached; `correlation` is that
    of their paired runs.
    """
    at = flops or min(curve.largest_flops, baseline.largest_flops)
    reduction, reduction_interval, saving, saving_interval = None, None, None, None
    notes = [*curve.warnings, *baseline.warnings, *extrapolation_notes(curve, {"C": at})]
    if curve.fit is not None and baseline.fit is not None:
        reduction = 1.0 - curve.cer(at) / baseline.cer(at)
        needed = _flops_to_reach(curve.fit, baseline.cer(at), at)
        saving = 1.0 - needed / at if math.isfinite(needed) else None
        if saving is None:
            what = f"{curve.label} does not reach the {baseline.cer(at):.4g} of {baseline.label}"
            notes.append(Note("not_reached", f"{what}: {_why(curve)}"))
        if curve.fit.dof >= 1 and baseline.fit.dof >= 1:
            ratio = Ratio(first=curve.fit, second=baseline.fit, correlation=correlation)
            reduction_interval = _reduction(ratio, at, level)
            saving_interval = saved(ratio, at, level)
    return Comparison(
        curve=curve,
        baseline=baseline,
        flops=at,
        cer_reduction=reduction,
        cer_reduction_interval=reduction_interval,
        flops_saved=saving,
        flops_saved_interval=saving_interval,
        by_model=(),
        depth=None,
        warnings=tuple(notes),
    )


def _strategies(
    curves: Curves, strategy: str, baseline: str, flops: float | None, table: Table | None, compared: int
) -> Comparison:
    ours, theirs = curves.of(strategy=strategy), curves.of(strategy=baseline)
    at = flops or min(max(curve.largest_flops for curve in side) for side in (ours, theirs))
    first, second = lowest(ours, at), lowest(theirs, at)
    together = _correlation(first, second, table)
    pairs = [(a, b) for a in ours for b in theirs if (a.encoder, a.llm) == (b.encoder, b.llm)]
    by_model = tuple(compare(a, b, flops, correlation=_correlation(a, b, table)) for a, b in pairs)
    overall = compare(first, second, at, correlation=together)
    gains = _gains(curves, overall, table, together)
    depth = _depth(overall, gains, table, together, compared)
    unfair = [] if table is None else [*_scale(first, second, table), *unequal_tuning(table, first, second)]
    return replace(
        overall,
        by_model=by_model if len(ours) > 1 or len(theirs) > 1 else (),
        depth=depth,
        warnings=(*overall.warnings, *disagreement(gains), *unfair),
    )


def _scale(first: Curve, second: Curve, table: Table) -> list[Note]:
    """Remarks where the errors of both sides share no scale. Raises InputError where their FLOPs share none."""
    both = (first.identity, second.identity)
    return check_shared_scale(table, [point for point in points_of(table)[0] if point.curve in both])


def _gains(curves: Curves, overall: Comparison, table: Table | None, together: float) -> tuple[Gain, ...]:
    """The comparison by every kind of FLOPs; empty where the runs recorded only one."""
    others = [] if table is None else converted(curves, table, overall.curve, overall.baseline, overall.flops)
    if not others:
        return ()
    again = [compare(one.curve, one.baseline, one.flops, correlation=together) for one in others]
    names = [FLOPS, *(one.currency for one in others)]
    return tuple(
        Gain(
            currency=name,
            flops=one.flops,
            cer_reduction=one.cer_reduction,
            cer_reduction_interval=one.cer_reduction_interval,
            flops_saved=one.flops_saved,
            flops_saved_interval=one.flops_saved_interval,
        )
        for name, one in zip(names, [overall, *again], strict=True)
    )


def _depth(
    overall: Comparison, gains: tuple[Gain, ...], table: Table | None, together: float, compared: int
) -> Depth | None:
    first, second, flops = overall.curve, overall.baseline, overall.flops
    if first.fit is None or second.fit is None or first.fit.dof < 1 or second.fit.dof < 1:
        return None
    ratio = Ratio(first=first.fit, second=second.fit, correlation=together)
    common = with_one_floor(first.fit, second.fit)
    one_floor = None
    if common is not None:
        ours, theirs = (float(one.predict({"C": [flops]})[0]) for one in common)
        one_floor = 1.0 - ours / theirs
    smallest = max(curve.domain["C"][0] for curve in (first, second))
    largest = max(curve.largest_flops for curve in (first, second))
    return Depth(
        simultaneous_interval=_reduction(ratio, flops, LEVEL ** (1.0 / compared)),
        correlation=together,
        ranges=ranges(ratio, smallest, largest),
        one_floor_reduction=one_floor,
        test_sampling=_test_sampling(first, second, flops, table),
        currencies=gains,
        equal_hours=None if table is None else _equal_hours(first, second, table),
    )


def _equal_hours(first: Curve, second: Curve, table: Table) -> tuple[AtHours, AtHours] | None:
    sides = traces_of(table, (first, second))
    found = {one.trace.curve.identity: one for one in at_equal_hours(sides)}
    if len(found) < 2 or hours_of_all(sides) is not None:
        return None
    return found[first.identity], found[second.identity]


def _hours_document(sides: tuple[AtHours, AtHours]) -> dict[str, Any]:
    ours, theirs = sides
    return {
        "hours": ours.hours,
        "cer": ours.cer,
        "baseline_cer": theirs.cer,
        "cer_reduction": ours.cer_reduction(theirs),
        "flops": ours.flops,
        "baseline_flops": theirs.flops,
    }


def _reduction(ratio: Ratio, flops: float, level: float) -> tuple[float, float]:
    low, high = ratio.ends(flops, flops, level)
    return 1.0 - math.exp(high), 1.0 - math.exp(low)


def _correlation(first: Curve, second: Curve, table: Table | None) -> float:
    if table is None or first.fit is None or second.fit is None:
        return 0.0
    points, _ = points_of(table)
    ours, theirs = (tuple(point for point in points if point.curve == curve.identity) for curve in (first, second))
    return correlation(table, ours, theirs, (first.fit, second.fit))


def _test_sampling(first: Curve, second: Curve, flops: float, table: Table | None) -> float | None:
    """As a share of the error ratio, which for small gains is that of the reduction."""
    if table is None:
        return None
    points, _ = points_of(table)
    ours, theirs = (tuple(point for point in points if point.curve == curve.identity) for curve in (first, second))
    error = sampling_error(table, ((first, ours), (second, theirs)), flops)
    return None if error is None else error * first.cer(flops) / second.cer(flops)


def _flops_to_reach(fitted: Fit, cer: float, around_flops: float) -> float:
    return crossing(lambda flops: math.log(fitted.predict({"C": [flops]})[0] / cer), around_flops)


def _why(curve: Curve) -> str:
    floor = 0.0 if curve.fit is None else curve.fit.theta.get("E", 0.0)
    return f"its floor is {floor:.4g}" if floor > 0.0 else "not within a million times these FLOPs"
