"""The ratio of two curves: its interval, where it passes one, and both laws refitted with one floor.

Profile intervals of two logs are joined by the method of variance estimates recovery (Zou and Donner 2008), which keeps
the asymmetry that floors cause: with d = a - b and correlation r of the two estimates, the lower end is
d - sqrt(x^2 + y^2 - 2 r x y), x = a - a_low, y = b_high - b, and the upper end alike.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from analysis.curves.curves import Curve
from analysis.fitting.fit import Fit
from analysis.fitting.intervals import Interval, interval
from analysis.fitting.laws import Array
from analysis.fitting.minimiser import SMALLEST_ERROR
from analysis.fitting.root import ROUGH, crossing
from analysis.forecasting.outlook import Outlook

AHEAD = 100.0
"""Budgets are judged from the smallest fitted to this many times the largest."""
GRID = 25
"""How many budgets are judged, evenly in logarithms."""
DRAWS = 4000
"""Joint draws: an end of a 90 % interval rests on 200 of them."""
FLOOR_STEPS = 24
"""Steps of the search for a common floor: each leaves .618 of the range, together a hundred-thousandth of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio(ABC):
    """The error of one curve over that of another, in logs; `correlation` is that of their runs (paired seeds)."""

    correlation: float = 0.0

    @abstractmethod
    def at(self, first_flops: Array, second_flops: Array, level: float) -> tuple[Array, Array, Array]:
        """Estimate, lower and upper end (k,) of the log ratio, each side at its own FLOPs."""

    def ends(self, first_flops: float, second_flops: float, level: float) -> tuple[float, float]:
        """Both ends of the log ratio at one pair of budgets."""
        _, low, high = self.at(np.array([first_flops]), np.array([second_flops]), level)
        return float(low[0]), float(high[0])

    def reduction_interval(self, flops: float, level: float) -> Interval:
        """The interval of the share of error that the first saves at equal FLOPs."""
        with np.errstate(over="ignore"):  # an end without a bound
            low, high = np.exp(self.ends(flops, flops, level))
        return 1.0 - float(high), 1.0 - float(low)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRatio(Ratio):
    """Of two laws that were asked for by name: their profile intervals are joined."""

    first: Fit
    second: Fit

    def at(self, first_flops: Array, second_flops: Array, level: float) -> tuple[Array, Array, Array]:
        """See `Ratio`."""
        a, a_low, a_high = _logs(self.first, first_flops, level)
        b, b_low, b_high = _logs(self.second, second_flops, level)
        return (
            a - b,
            a - b - _join(a - a_low, b_high - b, self.correlation),
            a - b + _join(a_high - a, b - b_low, self.correlation),
        )


@dataclass(frozen=True, kw_only=True)
class DrawnRatio(Ratio):
    """Of two outlooks: the difference of joint draws.

    Draws of both are ordered and paired by the ranks of correlated normal numbers (a Gaussian copula), so that each
    keeps its own distribution. Paired seeds correlate what the runs showed; what no run has shown, because it lies
    beyond the runs, is independent: the correlation shrinks by the share of the variance that was there at the largest
    run.
    """

    first: Outlook
    second: Outlook

    def at(self, first_flops: Array, second_flops: Array, level: float) -> tuple[Array, Array, Array]:
        """See `Ratio`."""
        tail = (1.0 - level) / 2.0
        middle, low, high = np.quantile(self.draws(first_flops, second_flops), [0.5, tail, 1.0 - tail], axis=1)
        return middle, low, high

    def draws(self, first_flops: Array, second_flops: Array) -> Array:
        """Joint draws (k, d) of the log ratio, the same each time."""
        first, first_seen = _drawn(self.first, first_flops, seed=1)
        second, second_seen = _drawn(self.second, second_flops, seed=2)
        pairs = [_ranks(share) for share in self.correlation * np.sqrt(first_seen * second_seen)]
        return np.array([first[i, mine] - second[i, theirs] for i, (mine, theirs) in enumerate(pairs)])


def ratio_of(first: Curve, second: Curve, correlation: float = 0.0) -> Ratio | None:
    """The ratio of two curves; None where one has no interval."""
    if first.outlook is not None and second.outlook is not None:
        return DrawnRatio(first=first.outlook, second=second.outlook, correlation=correlation)
    if first.fit is None or second.fit is None or first.fit.dof < 1 or second.fit.dof < 1:
        return None
    return ProfileRatio(first=first.fit, second=second.fit, correlation=correlation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Budgets, from the smallest fitted to a hundred times the largest, at which `first` has the lower error
    (`better`) or the higher one (`worse`) with 95 % each, and where the curves cross. None: nowhere.
    """

    better: Interval | None
    worse: Interval | None
    crossings: tuple[float, ...]


def ranges(ratio: Ratio, smallest_flops: float, largest_flops: float) -> Ranges:
    """Judge a grid of budgets, each one-sided at 95 %. Where a range has a hole, its longest part is given."""
    grid = np.geomspace(smallest_flops, AHEAD * largest_flops, GRID)
    middle, low, high = ratio.at(grid, grid, level=0.9)
    turns = np.flatnonzero(np.sign(middle[:-1]) * np.sign(middle[1:]) < 0)
    share = middle[turns] / (middle[turns] - middle[turns + 1])
    crossings = grid[turns] * (grid[turns + 1] / grid[turns]) ** share
    return Ranges(
        better=_longest(grid, high < 0.0), worse=_longest(grid, low > 0.0), crossings=tuple(map(float, crossings))
    )


def flops_saved_interval(ratio: Ratio, flops: float, level: float) -> Interval:
    """All 1 - C'/C for which "the error of `first` at C' is that of `second` at C" cannot be rejected."""
    largest = crossing(lambda trial: ratio.ends(trial, flops, level)[1], flops, ROUGH)
    smallest = crossing(lambda trial: ratio.ends(trial, flops, level)[0], flops, ROUGH)
    return 1.0 - largest / flops, 1.0 - smallest / flops


def with_one_floor(first: Fit, second: Fit) -> tuple[Fit, Fit] | None:
    """Both laws fitted with the one floor that suits both best, the squares of each fit in units of its own noise; None
    where a law has no floor of its own.

    The floor belongs to data and models, which two strategies may well share. Separate floors extrapolate a difference
    of floors that was not measured.
    """
    if first.law.floor is None or second.law.floor is None or {"E"} & {*first.fixed, *second.fixed}:
        return None
    variances = [max(fit.objective / max(fit.dof, 1), 1e-24) for fit in (first, second)]

    @cache
    def refitted(floor: float) -> tuple[Fit, Fit]:
        return first.refit(fixed={"E": floor}), second.refit(fixed={"E": floor})

    def objective(floor: float) -> float:
        return sum(fit.objective / variance for fit, variance in zip(refitted(floor), variances, strict=True))

    low, high = 0.0, min(float(fit.y.min()) for fit in (first, second))
    golden = (math.sqrt(5.0) - 1.0) / 2.0
    left, right = high - golden * (high - low), low + golden * (high - low)
    for _ in range(FLOOR_STEPS):
        if objective(left) <= objective(right):
            high, left, right = right, right - golden * (right - low), left
        else:
            low, left, right = left, right, left + golden * (high - left)
    return refitted(min((left, right, 0.0), key=objective))


def _drawn(outlook: Outlook, flops: Array, seed: int) -> tuple[Array, Array]:
    """Ordered draws (k, d), and which share (k,) of their variance is there at the largest run; 1 inside the runs."""
    largest = outlook.runs.flops_N[-1]
    drawn = np.sort(outlook.draw(np.append(flops, largest), DRAWS, np.random.default_rng(seed)))
    variance = drawn.var(axis=1)
    return drawn[:-1], np.where(flops <= largest, 1.0, np.minimum(variance[-1] / variance[:-1], 1.0))


@lru_cache(maxsize=64)
def _ranks(correlation: float) -> tuple["np.typing.NDArray[np.intp]", "np.typing.NDArray[np.intp]"]:
    """Ranks (d,) of two series of normal numbers with this correlation, the same each time."""
    mine, other = np.random.default_rng(0).standard_normal((2, DRAWS))
    theirs = correlation * mine + math.sqrt(1.0 - correlation**2) * other
    return np.argsort(np.argsort(mine)), np.argsort(np.argsort(theirs))


def _logs(fitted: Fit, flops: Array, level: float) -> tuple[Array, Array, Array]:
    low, high = interval(fitted, {"C": flops}, level=level)
    return np.log(fitted.predict({"C": flops})), np.log(np.maximum(low, SMALLEST_ERROR)), np.log(high)


def _join(x: Array, y: Array, correlation: float) -> Array:
    joined: Array = np.sqrt(np.maximum(x**2 + y**2 - 2.0 * correlation * x * y, 0.0))
    return joined


def _longest(grid: Array, holds: "np.typing.NDArray[np.bool_]") -> Interval | None:
    """Ends of the longest unbroken stretch of the grid at which `holds` is true; None where it is nowhere."""
    places = np.flatnonzero(holds)
    if not places.size:
        return None
    longest = max(np.split(places, np.flatnonzero(np.diff(places) > 1) + 1), key=len)
    return float(grid[longest[0]]), float(grid[longest[-1]])
