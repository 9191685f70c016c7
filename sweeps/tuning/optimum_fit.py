"""Where the best settings lie, and whether they drift with the budget: a fit to all trials of one strategy.

Near its lowest point the log error of a strategy is taken to be a parabola in each knob, without products of knobs,
with one curvature for both budgets, and with a lowest point that moves with t, the log of the budget (from their mean):

    log CER = a[budget] + sum over knobs k of  c[k] x[k]^2 + b[k] x[k] + g[k] x[k] t

x are powers of the knobs' steps. The lowest point of a knob is -(b + g t) / 2c, its drift -g / 2c a unit of t. This is
linear least squares; a drift is kept only where g is not zero at `FALSE_DRIFT`, shared by all knobs that are asked,
both in `WINDOW` and in `NARROW_WINDOW`; a lowest point is believed only where c is above zero. Intervals of the ratios
are Fieller's (1954). They hold for a parabola: where one side of the valley is steeper, the lowest point found lies off
the true one by more than its interval says, though the error there is within a few percent of the lowest (see the
tests). That there are no products is an assumption: if the best rates of all parts moved with the square root of the
batch, a search of 21 points would leave 9 % more error than the lowest, not 2 % (planted valleys, 8 % noise).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from scaling.scoring.interval import LEVEL
from sweeps.tuning.grid import Point, Scores, best_point

WINDOW = 2.0
"""Trials with more than this times the lowest error of their budget are no part of a valley (assumption): there the
error climbs to that of chance, and a parabola through such cliffs would move the lowest point away from them."""

NARROW_WINDOW = 1.5
"""A drift that only shows where the error has risen by half is a cliff that moved, not the valley (assumption)."""

FALSE_DRIFT = 0.05
"""Chance that any drift is claimed for a strategy that has none."""

Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimum:
    """The best multiplier of one knob at the mean log budget.

    `interval` is None where the trials show no valley: `multiplier` is then the best one tried at the larger budget.
    `drift` is the power of the budget with which the best moves, 0 where none was resolved; `drift_interval` is
    what the trials allow, None where they cannot say.
    """

    multiplier: float
    interval: tuple[float, float] | None
    drift: float
    drift_interval: tuple[float, float] | None


def optima(trials: Mapping[int, Scores], steps: Sequence[float]) -> tuple[Optimum, ...]:
    """The best multiplier of each knob, from the error rates tried at each budget (FLOPs -> scores)."""
    knobs = len(steps)
    everything = tuple(range(knobs))
    valley, narrow = (_Valley.around(trials, window) for window in (WINDOW, NARROW_WINDOW))
    full, again = (of.fit(everything) for of in (valley, narrow))
    certain = 1 - FALSE_DRIFT / (2 * knobs)
    drifting = [k for k in everything if all(fit and fit.differs_from_zero(("g", k), certain) for fit in (full, again))]
    fitted = valley.fit(drifting)
    best = best_point(trials[max(trials)])
    return tuple(_optimum(k, step, best[k], valley, fitted, full) for k, step in enumerate(steps))


def _optimum(
    k: int, step: float, best: int, valley: "_Valley", fitted: "_Parabolas | None", full: "_Parabolas | None"
) -> Optimum:
    moved = None if full is None else full.ratio(("g", k), ("c", k))
    drift_interval = None if moved is None else (moved[0] * math.log(step), moved[1] * math.log(step))
    lowest = None if fitted is None else fitted.ratio(("b", k), ("c", k))
    if fitted is None or lowest is None:
        return Optimum(multiplier=step**best, interval=None, drift=0.0, drift_interval=drift_interval)
    low, high = valley.powers[:, k].min(), valley.powers[:, k].max()
    power = float(np.clip(fitted.middle(("b", k), ("c", k)), low, high))
    return Optimum(
        multiplier=step**power,
        interval=(step ** lowest[0], step ** lowest[1]),
        drift=fitted.middle(("g", k), ("c", k)) * math.log(step) if ("g", k) in fitted.names else 0.0,
        drift_interval=drift_interval,
    )


Name = tuple[str, int]
"""A coefficient of the fit: its letter, and its budget or knob."""


@dataclass(frozen=True, slots=True)
class _Valley:
    """Trials near the lowest error: powers (n, K), the log budget from its mean and the budget's position (n,), and
    log errors (n,).
    """

    powers: Array
    t: Array
    budget: Array
    log_error: Array

    @staticmethod
    def around(trials: Mapping[int, Scores], window: float) -> "_Valley":
        middle = sum(map(math.log, trials)) / len(trials)
        rows: list[tuple[Point, float, int, float]] = []
        for position, flops in enumerate(sorted(trials)):
            scores = trials[flops]
            limit = window * min(scores.values())
            near = [(point, score) for point, score in scores.items() if 0 < score <= limit and math.isfinite(score)]
            rows += [(point, math.log(flops) - middle, position, math.log(score)) for point, score in near]
        points, t, budget, log_error = zip(*rows, strict=True) if rows else ((), (), (), ())
        knobs = len(next(iter(next(iter(trials.values())))))
        return _Valley(np.array(points, float).reshape(-1, knobs), *map(np.array, (t, budget, log_error)))

    def fit(self, drifting: Sequence[int]) -> "_Parabolas | None":
        """Least squares with a drift of those knobs; None where the trials are too few to tell."""
        columns: dict[Name, Array] = {
            ("a", int(position)): (self.budget == position).astype(float) for position in np.unique(self.budget)
        }
        for k in range(self.powers.shape[1]):
            columns["c", k] = self.powers[:, k] ** 2
            columns["b", k] = self.powers[:, k]
        columns |= {("g", k): self.powers[:, k] * self.t for k in drifting}
        design = np.stack(list(columns.values()), axis=1)
        dof = len(self.log_error) - len(columns)
        if dof < 1 or np.linalg.matrix_rank(design) < len(columns):
            return None
        inverse = np.asarray(np.linalg.inv(design.T @ design), np.float64)
        coefficients: Array = inverse @ design.T @ self.log_error
        residual = self.log_error - design @ coefficients
        return _Parabolas(list(columns), coefficients, float(residual @ residual) / dof * inverse, dof)


@dataclass(frozen=True, slots=True)
class _Parabolas:
    """Coefficients by name, their covariance, and the degrees of freedom that estimated it."""

    names: list[Name]
    coefficients: Array
    covariance: Array
    dof: int

    def differs_from_zero(self, name: Name, certain: float) -> bool:
        i = self.names.index(name)
        return bool(abs(self.coefficients[i]) > stdtrit(self.dof, certain) * math.sqrt(self.covariance[i, i]))

    def middle(self, slope: Name, curvature: Name) -> float:
        """-slope / 2 curvature: the lowest point, or how it moves."""
        i, j = self.names.index(slope), self.names.index(curvature)
        return float(-self.coefficients[i] / (2 * self.coefficients[j]))

    def ratio(self, slope: Name, curvature: Name) -> tuple[float, float] | None:
        """Fieller's interval of `middle`; None where the curvature is not above zero."""
        i, j = self.names.index(slope), self.names.index(curvature)
        (a, c), cov, q2 = self.coefficients[[i, j]], self.covariance, stdtrit(self.dof, 0.5 + LEVEL / 2) ** 2
        square = 4 * (c * c - q2 * cov[j, j])
        if c <= 0 or square <= 0:
            return None
        linear, constant = 4 * (a * c - q2 * cov[i, j]), a * a - q2 * cov[i, i]
        spread = math.sqrt(max(linear * linear - 4 * square * constant, 0.0))
        return float((-linear - spread) / (2 * square)), float((-linear + spread) / (2 * square))
