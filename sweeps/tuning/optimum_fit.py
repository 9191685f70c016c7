"""Where the best settings lie, and whether they drift with the budget: a fit to all trials of one strategy.

Near its lowest point the log error of a strategy is taken to be a parabola in each hyperparameter, without products of
hyperparameters, with one curvature for both budgets, and with a lowest point that moves with t, the log of the budget
(from the mean over the budgets):

    log CER = a[budget] + sum over hyperparameters k of  c[k] x[k]^2 + b[k] x[k] + g[k] x[k] t

x[k] is the power of the step of k. The lowest point lies at x[k] = -(b + g t) / 2c, and its drift is -g / 2c per unit
of t. The fit is linear least squares. A drift is kept only where a test rejects g = 0, both in `WINDOW` and in
`NARROW_WINDOW`, at the level `FALSE_DRIFT` divided by the number of hyperparameters. A lowest point is accepted only
where c is above zero, and never beyond the powers that were tried at a budget. Intervals of the ratios are Fieller's
(1954). They hold for a parabola: where one side is steeper than the other, the fitted lowest point can lie further from
the true one than its interval says, though the error there is within a few percent of the lowest (see the tests). That
there are no products is an assumption: if the best rates of all parts moved with the square root of the batch, a search
of 21 points would leave 9 % more error than the lowest, not 2 % (planted parabolas, 8 % noise).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from scaling.scoring.interval import LEVEL
from sweeps.tuning.grid import DevErrors, GridPoint, best_point

WINDOW = 2.0
"""Trials with more than this times the lowest error of their budget are left out of the fit (assumption): there the
error climbs steeply to that of chance, which would move the parabola's lowest point away from that side."""

NARROW_WINDOW = 1.5
"""A drift must also show in trials within this times the lowest error; else only the steep side moved (assumption)."""

FALSE_DRIFT = 0.05
"""Probability that any drift is claimed for a strategy that has none."""

Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimumEstimate:
    """The best multiplier of one hyperparameter at the geometric mean of the budgets.

    `interval` is None where the fit has no lowest point: then `multiplier` is the best one tried at the larger budget.
    `drift` is the power of the budget with which the best multiplier grows, 0 where no drift was resolved;
    `drift_interval` is its interval, None where the fit cannot give one.
    """

    multiplier: float
    interval: tuple[float, float] | None
    drift: float
    drift_interval: tuple[float, float] | None


def optima(trials: Mapping[int, DevErrors], steps: Sequence[float]) -> tuple[OptimumEstimate, ...]:
    """The best multiplier of each hyperparameter, with these `steps`, from errors on dev by budget in FLOPs."""
    indices = tuple(range(len(steps)))
    near, nearer = (_NearTrials.within(trials, window) for window in (WINDOW, NARROW_WINDOW))
    full, narrow = (selected.fit(indices) for selected in (near, nearer))
    quantile = 1 - FALSE_DRIFT / (2 * len(steps))
    drifting = [k for k in indices if all(fit and fit.differs_from_zero(("g", k), quantile) for fit in (full, narrow))]
    fitted = near.fit(drifting)
    best = best_point(trials[max(trials)])
    return tuple(_optimum(k, step, best[k], near, fitted, full) for k, step in enumerate(steps))


def _optimum(
    k: int, step: float, best: int, near: "_NearTrials", fitted: "_Parabolas | None", full: "_Parabolas | None"
) -> OptimumEstimate:
    drift = None if full is None else full.ratio_interval(("g", k), ("c", k))
    drift_interval = None if drift is None else (drift[0] * math.log(step), drift[1] * math.log(step))
    lowest = None if fitted is None else fitted.ratio_interval(("b", k), ("c", k))
    if fitted is None or lowest is None:
        return OptimumEstimate(multiplier=step**best, interval=None, drift=0.0, drift_interval=drift_interval)
    power, slope = near.clipped(
        k, fitted.ratio(("b", k), ("c", k)), fitted.ratio(("g", k), ("c", k)) if ("g", k) in fitted.names else 0.0
    )
    return OptimumEstimate(
        multiplier=step**power,
        interval=(step ** lowest[0], step ** lowest[1]),
        drift=slope * math.log(step),
        drift_interval=drift_interval,
    )


Name = tuple[str, int]
"""A coefficient of the fit: its letter, and the index of its budget or hyperparameter."""


@dataclass(frozen=True, slots=True)
class _NearTrials:
    """Near trials: `powers` (n, K), `t` (n,) the log budget from its mean, the index of the `budget`, `log_error`."""

    powers: Array
    t: Array
    budget: Array
    log_error: Array

    @staticmethod
    def within(trials: Mapping[int, DevErrors], window: float) -> "_NearTrials":
        mean = sum(map(math.log, trials)) / len(trials)
        rows: list[tuple[GridPoint, float, int, float]] = []
        for position, flops in enumerate(sorted(trials)):
            errors = trials[flops]
            limit = window * min(errors.values())
            near = [(point, error) for point, error in errors.items() if 0 < error <= limit and math.isfinite(error)]
            rows += [(point, math.log(flops) - mean, position, math.log(error)) for point, error in near]
        points, t, budget, log_error = zip(*rows, strict=True) if rows else ((), (), (), ())
        width = len(next(iter(next(iter(trials.values())))))
        return _NearTrials(np.array(points, float).reshape(-1, width), *map(np.array, (t, budget, log_error)))

    def clipped(self, k: int, power: float, slope: float) -> tuple[float, float]:
        """The lowest point of hyperparameter `k`, `power` + `slope` t, as a line through powers that were tried: with a
        slope, its values at the smallest and at the largest budget are moved into what was tried there.
        """
        if slope == 0.0:
            return float(np.clip(power, self.powers[:, k].min(), self.powers[:, k].max())), 0.0
        ends = float(self.t.min()), float(self.t.max())
        tried = [self.powers[self.t == t, k] for t in ends]
        first, last = (
            float(np.clip(power + slope * t, own.min(), own.max())) for t, own in zip(ends, tried, strict=True)
        )
        slope = (last - first) / (ends[1] - ends[0])
        return first - slope * ends[0], slope

    def fit(self, drifting: Sequence[int]) -> "_Parabolas | None":
        """The least squares fit with a drift of those hyperparameters; None where the trials are too few for it."""
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
    """Coefficients (P,) by name, their covariance (P, P), and the degrees of freedom of its estimate."""

    names: list[Name]
    coefficients: Array
    covariance: Array
    dof: int

    def differs_from_zero(self, name: Name, quantile: float) -> bool:
        i = self.names.index(name)
        return bool(abs(self.coefficients[i]) > stdtrit(self.dof, quantile) * math.sqrt(self.covariance[i, i]))

    def ratio(self, slope: Name, curvature: Name) -> float:
        """-slope / (2 curvature): the lowest point, or its drift."""
        i, j = self.names.index(slope), self.names.index(curvature)
        return float(-self.coefficients[i] / (2 * self.coefficients[j]))

    def ratio_interval(self, slope: Name, curvature: Name) -> tuple[float, float] | None:
        """Fieller's interval of `ratio`; None where the curvature is not above zero."""
        i, j = self.names.index(slope), self.names.index(curvature)
        (a, c), cov, q2 = self.coefficients[[i, j]], self.covariance, stdtrit(self.dof, 0.5 + LEVEL / 2) ** 2
        square = 4 * (c * c - q2 * cov[j, j])
        if c <= 0 or square <= 0:
            return None
        linear, constant = 4 * (a * c - q2 * cov[i, j]), a * a - q2 * cov[i, i]
        spread = math.sqrt(max(linear * linear - 4 * square * constant, 0.0))
        return float((-linear - spread) / (2 * square)), float((-linear + spread) / (2 * square))
