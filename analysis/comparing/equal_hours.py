"""The view at equal unique hours: what strategies score once each has heard equally much different audio.

At equal FLOPs a cheap strategy hears more; where audio, not compute, is scarce, that is no merit. Values between
budgets are interpolated between neighbouring measured points, in logarithms; nothing is extrapolated.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.curves.traces import PlottedPoint, Trace

# Hours within this factor are the same audio: a budget ends within a step.
SAME_HOURS = 1.01


@dataclass(frozen=True, slots=True, kw_only=True)
class AtHours:
    """What the curve of `trace` scored (`cer`), cost (`flops`) and repeated (`passes` over its audio) at `hours`."""

    trace: Trace
    hours: float
    cer: float
    flops: float
    passes: float | None

    def cer_reduction(self, baseline: "AtHours") -> float:
        """How much less error than `baseline` has there, as a share."""
        return 1.0 - self.cer / baseline.cer


def at_equal_hours(traces: Sequence[Trace]) -> tuple[AtHours, ...]:
    """Every trace at the most unique hours that all have reached, lowest CER first; empty where not recorded."""
    heard = [trace for trace in traces if trace.points and all(point.unique_hours for point in trace.points)]
    if not heard:
        return ()
    common = min(max(_hours(point) for point in trace.points) for trace in heard)
    reached = [trace for trace in heard if _hours(trace.points[0]) <= common]
    return tuple(sorted((_at(trace, common) for trace in reached), key=lambda one: one.cer))


def hours_of_all(traces: Sequence[Trace]) -> float | None:
    """The unique hours that every run heard; None where they differ or are not recorded."""
    heard = [_hours(point) for trace in traces for point in trace.points]
    return heard[0] if heard and min(heard) > 0.0 and max(heard) <= SAME_HOURS * min(heard) else None


def _at(trace: Trace, hours: float) -> AtHours:
    """Between the last point below `hours` and the first that has reached them; passes may be none, so not in logs."""
    above = next(i for i, point in enumerate(trace.points) if _hours(point) >= hours)
    low, high = trace.points[max(above - 1, 0)], trace.points[above]
    apart = math.log(_hours(high) / _hours(low))
    share = 1.0 if apart <= 0.0 else math.log(hours / _hours(low)) / apart
    passes = None
    if low.passes is not None and high.passes is not None:
        passes = (1.0 - share) * low.passes + share * high.passes
    return AtHours(
        trace=trace,
        hours=hours,
        cer=_between(low.mean.cer, high.mean.cer, share),
        flops=_between(low.mean.flops, high.mean.flops, share),
        passes=passes,
    )


def _between(low: float, high: float, share: float) -> float:
    return math.exp((1.0 - share) * math.log(low) + share * math.log(high))


def _hours(point: PlottedPoint) -> float:
    return point.unique_hours or 0.0
