"""The view at equal unique hours: what strategies score once each has heard equally much different audio.

At equal FLOPs a cheap strategy hears more audio. Where audio is scarce and compute is not, that is no merit. Values
between budgets are interpolated between neighbouring measured points, in logarithms; nothing is extrapolated.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.curves.traces import PlottedPoint, Trace

SAME_HOURS = 1.01
"""Hours within this factor are the same audio, because a budget ends within a step (assumption)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultAtHours:
    """What the curve of `trace` scored (`cer`), cost (`flops`) and repeated (`passes` over its audio) at `hours`."""

    trace: Trace
    hours: float
    cer: float
    flops: float
    passes: float | None


def results_at_equal_hours(traces: Sequence[Trace]) -> tuple[ResultAtHours, ...]:
    """Every trace at the most unique hours that all reached, lowest CER first; empty where none are recorded."""
    with_hours = [trace for trace in traces if trace.points and all(point.unique_hours for point in trace.points)]
    if not with_hours:
        return ()
    hours = min(max(_hours(point) for point in trace.points) for trace in with_hours)
    results = [_result_at(trace, hours) for trace in with_hours if _hours(trace.points[0]) <= hours]
    return tuple(sorted(results, key=lambda result: result.cer))


def hours_of_every_run(traces: Sequence[Trace]) -> float | None:
    """The unique hours that every run heard; None where they differ or are not recorded."""
    hours = [_hours(point) for trace in traces for point in trace.points]
    return hours[0] if hours and min(hours) > 0.0 and max(hours) <= SAME_HOURS * min(hours) else None


def _result_at(trace: Trace, hours: float) -> ResultAtHours:
    """Between the last point below `hours` and the first that reached them, linear in passes, which may be zero."""
    above = next(i for i, point in enumerate(trace.points) if _hours(point) >= hours)
    low, high = trace.points[max(above - 1, 0)], trace.points[above]
    log_distance = math.log(_hours(high) / _hours(low))
    share = 1.0 if log_distance <= 0.0 else math.log(hours / _hours(low)) / log_distance
    passes = None
    if low.passes is not None and high.passes is not None:
        passes = (1.0 - share) * low.passes + share * high.passes
    return ResultAtHours(
        trace=trace,
        hours=hours,
        cer=_log_interpolated(low.mean.cer, high.mean.cer, share),
        flops=_log_interpolated(low.mean.flops, high.mean.flops, share),
        passes=passes,
    )


def _log_interpolated(low: float, high: float, share: float) -> float:
    return math.exp((1.0 - share) * math.log(low) + share * math.log(high))


def _hours(point: PlottedPoint) -> float:
    return point.unique_hours or 0.0
