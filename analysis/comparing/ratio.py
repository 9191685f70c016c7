"""The ratio of two curves: its interval, where it passes one, and what it is when both are given the same floor.

The interval of a difference of two logs joins their profile intervals by the method of variance estimates recovery
(Zou and Donner 2008), which keeps the asymmetry that floors cause: with d = a - b and correlation r of the two
estimates, the lower end is d - sqrt(x^2 + y^2 - 2 r x y), x = a - a_low, y = b_high - b, and the upper end alike.
"""

import math
from dataclasses import dataclass

import numpy as np

from analysis.fitting.fit import Fit
from analysis.fitting.intervals import interval
from analysis.fitting.laws import Array
from analysis.fitting.minimiser import SMALLEST_ERROR
from analysis.fitting.root import ROUGH, crossing

# The range of budgets judged: from the smallest fitted to this many times the largest.
AHEAD = 100.0
GRID = 25
FLOOR_STEPS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """The error of `first` over that of `second`, in logs; `correlation` is that of their estimates (paired seeds)."""

    first: Fit
    second: Fit
    correlation: float = 0.0

    def at(self, first_flops: Array, second_flops: Array, level: float) -> tuple[Array, Array, Array]:
        """Estimate, lower and upper end (k,) of the log ratio, each side at its own FLOPs."""
        a, a_low, a_high = _logs(self.first, first_flops, level)
        b, b_low, b_high = _logs(self.second, second_flops, level)
        return (
            a - b,
            a - b - _join(a - a_low, b_high - b, self.correlation),
            a - b + _join(a_high - a, b - b_low, self.correlation),
        )

    def ends(self, first_flops: float, second_flops: float, level: float) -> tuple[float, float]:
        """Both ends at one pair of budgets."""
        _, low, high = self.at(np.array([first_flops]), np.array([second_flops]), level)
        return float(low[0]), float(high[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Budgets, from the smallest fitted to a hundred times the largest, at which `first` has the lower error
    (`better`) or the higher one (`worse`) with 95 % each, and where the curves cross. None: nowhere.
    """

    better: tuple[float, float] | None
    worse: tuple[float, float] | None
    crossings: tuple[float, ...]


def ranges(ratio: Ratio, smallest_flops: float, largest_flops: float) -> Ranges:
    """Judge a grid of budgets, each one-sided at 95 %; where a range has a hole, its longest part is given."""
    grid = np.geomspace(smallest_flops, AHEAD * largest_flops, GRID)
    middle, low, high = ratio.at(grid, grid, level=0.9)
    turns = np.flatnonzero(np.sign(middle[:-1]) * np.sign(middle[1:]) < 0)
    share = middle[turns] / (middle[turns] - middle[turns + 1])
    crossings = grid[turns] * (grid[turns + 1] / grid[turns]) ** share
    return Ranges(
        better=_longest(grid, high < 0.0), worse=_longest(grid, low > 0.0), crossings=tuple(map(float, crossings))
    )


def saved(ratio: Ratio, flops: float, level: float) -> tuple[float, float]:
    """All 1 - C'/C for which "the error of `first` at C' is that of `second` at C" cannot be rejected."""
    largest = crossing(lambda trial: ratio.ends(trial, flops, level)[1], flops, ROUGH)
    smallest = crossing(lambda trial: ratio.ends(trial, flops, level)[0], flops, ROUGH)
    return 1.0 - largest / flops, 1.0 - smallest / flops


def with_one_floor(first: Fit, second: Fit) -> tuple[Fit, Fit] | None:
    """Both laws fitted with the floor that suits both best (each fit's squares in units of its own noise); None where a
    law has no floor of its own.

    The floor is that of data and models, which two strategies may well share; separate floors extrapolate differences
    of floors that were not measured.
    """
    if first.law.floor is None or second.law.floor is None or {"E"} & {*first.fixed, *second.fixed}:
        return None
    noise = [max(one.objective / max(one.dof, 1), 1e-24) for one in (first, second)]

    def held(floor: float) -> tuple[float, tuple[Fit, Fit]]:
        fits = tuple(one.refit(fixed={"E": floor}) for one in (first, second))
        return sum(one.objective / scale for one, scale in zip(fits, noise, strict=True)), (fits[0], fits[1])

    low, high = 0.0, min(float(one.y.min()) for one in (first, second))
    inner = (math.sqrt(5.0) - 1.0) / 2.0
    points = [high - inner * (high - low), low + inner * (high - low)]
    values = [held(point) for point in points]
    for _ in range(FLOOR_STEPS):
        if values[0][0] <= values[1][0]:
            high, points, values = points[1], [points[1] - inner * (points[1] - low), points[0]], [values[0], values[0]]
            values[0] = held(points[0])
        else:
            low, points, values = points[0], [points[1], points[0] + inner * (high - points[0])], [values[1], values[1]]
            values[1] = held(points[1])
    return min((*values, held(0.0)), key=lambda value: value[0])[1]


def _logs(fitted: Fit, flops: Array, level: float) -> tuple[Array, Array, Array]:
    low, high = interval(fitted, {"C": flops}, level=level)
    return np.log(fitted.predict({"C": flops})), np.log(np.maximum(low, SMALLEST_ERROR)), np.log(high)


def _join(x: Array, y: Array, correlation: float) -> Array:
    joined: Array = np.sqrt(np.maximum(x**2 + y**2 - 2.0 * correlation * x * y, 0.0))
    return joined


def _longest(grid: Array, holds: "np.typing.NDArray[np.bool_]") -> tuple[float, float] | None:
    best: tuple[int, int] | None = None
    start: int | None = None
    for i, true in enumerate([*holds.tolist(), False]):
        if true and start is None:
            start = i
        if not true and start is not None:
            if best is None or i - 1 - start > best[1] - best[0]:
                best = (start, i - 1)
            start = None
    return None if best is None else (float(grid[best[0]]), float(grid[best[1]]))
