"""The backtest: how well a law forecasts the larger points of its own data from the smaller ones.

A profile interval covers the noise, but not that the law is slightly wrong far away: on eight published isoFLOP tables
a nominal 90 % interval held 55 % of the runs of the two largest budgets. So the data are cut at each of their levels,
the law is fitted below the cut and forecasts the two levels above it, and the interval is widened by a factor.

The factor: errors of one cut share one misfit, so a cut counts as one draw of the misfit. With J cuts (the later half,
which are nearest in size to all data), the factor is their root mean square error in units of half-widths times the t
quantile with J + 1 degrees of freedom, between 1 and 3. Measured on 21 truncations of the eight tables, the widened
interval held 91 % of the runs at 2.1 times the width (with J degrees of freedom: 96 % at 3.0 times). This is a measured
share, so the interval is not labelled 90 %.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.fitting.fit import Fit
from analysis.fitting.intervals import interval
from analysis.fitting.laws import Array
from analysis.fitting.student_t import t_quantile
from scaling.scoring.interval import LEVEL

SAME_LEVEL = 0.12
"""Points whose log size differs by less than this are of one level: an isoFLOP budget is met within a step."""

MOST_LEVELS = 14
"""With more levels than this, neighbours are joined: a table of scattered sizes has no budgets."""

AHEAD = 2
"""Levels above a cut that are forecast."""

FEWEST_LEVELS = 2
"""Levels that a cut needs below it: on a single level the columns of a law stand in for one another."""

LARGEST_FACTOR = 3.0
"""Beyond this factor the law does not describe the data, and a wider interval would hide this."""

NO_WIDTH = 1e-6
"""The least half-width: noise-free data have intervals of no width and errors of rounding."""

SPARE_POINTS = 2
"""Points beyond the number of parameters that a cut needs below it for an interval worth testing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One cut: points fitted below it, and for each point above it the log error and its share of the half-width."""

    fitted_points: int
    errors: Array
    shares: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The result of the backtest: `factor` widens an interval; `held` and `held_calibrated` are the shares of forecasts
    that the plain and the widened interval held; `error` is the root mean square log error of the forecasts.
    """

    factor: float
    windows: int
    forecasts: int
    held: float
    held_calibrated: float
    error: float

    def widened(
        self, fitted: Fit, columns: Mapping[str, npt.ArrayLike], ends: tuple[Array, Array]
    ) -> tuple[Array, Array]:
        """The interval `ends` (k,) of `fitted` at `columns`, both arms `factor` times as long in terms of residuals."""
        loss = fitted.loss
        middle = loss.link(fitted.predict(columns))
        low, high = (middle + self.factor * (loss.link(end) - middle) for end in ends)
        return (np.exp(low), np.exp(high)) if loss.log else (low, high)

    def as_dict(self) -> dict[str, object]:
        """As JSON holds it."""
        return {name: getattr(self, name) for name in self.__slots__}

    @staticmethod
    def from_dict(document: Mapping[str, Any]) -> "Calibration":
        """The stored calibration."""
        return Calibration(**document)


def windows(fitted: Fit, level: float = LEVEL) -> list[Window]:
    """Every cut that leaves enough points below it, smallest first."""
    order = levels(fitted)
    tests = []
    for cut in range(int(order.max())):
        below = np.flatnonzero(order <= cut)
        above = np.flatnonzero((order > cut) & (order <= cut + AHEAD))
        if len(below) < len(fitted.law.names) + SPARE_POINTS or cut + 1 < FEWEST_LEVELS:
            continue
        part = fitted.refit(keep=below)
        columns = {name: values[above] for name, values in fitted.columns.items()}
        low, high = (
            part.loss.link(end)
            for end in interval(part, columns, level=level, kind="new_run", run_weight=fitted.weights[above])
        )
        middle = part.loss.link(part.predict(columns))
        error = part.loss.link(fitted.y[above]) - middle
        share = np.abs(error) / np.maximum(np.where(error > 0.0, high - middle, middle - low), NO_WIDTH)
        relative = error if part.loss.log else error / fitted.y[above]
        tests.append(Window(fitted_points=len(below), errors=relative, shares=share))
    return tests


def calibrate(fitted: Fit, level: float = LEVEL) -> Calibration | None:
    """The calibration of a fit by its backtest; None where the data are too few to cut."""
    cuts = windows(fitted, level)
    if not cuts:
        return None
    late = cuts[-max(2, (len(cuts) + 1) // 2) :]
    size = math.sqrt(float(np.mean([np.mean(window.shares**2) for window in late])))
    factor = min(max(1.0, size * t_quantile(0.5 + level / 2.0, len(late) + 1)), LARGEST_FACTOR)
    shares = np.concatenate([window.shares for window in cuts])
    errors = np.concatenate([window.errors for window in cuts])
    return Calibration(
        factor=factor,
        windows=len(cuts),
        forecasts=len(shares),
        held=float(np.mean(shares <= 1.0)),
        held_calibrated=float(np.mean(shares <= factor)),
        error=float(np.sqrt(np.mean(errors**2))),
    )


def levels(fitted: Fit) -> npt.NDArray[np.intp]:
    """The level (0, 1, ...) of each point by size, the product of the law's columns (for N and D: compute)."""
    counted = [name for name in fitted.law.columns if name not in fitted.law.same_unit.values()]
    size = np.sum([np.log(fitted.columns[name]) for name in counted], axis=0)
    ranked = np.argsort(size, kind="stable")
    order = np.zeros(len(size), dtype=np.intp)
    order[ranked] = np.concatenate([[0], np.cumsum(np.diff(size[ranked]) > SAME_LEVEL)])
    if order.max() >= MOST_LEVELS:
        order[ranked] = np.arange(len(size)) * MOST_LEVELS // len(size)
    return order
