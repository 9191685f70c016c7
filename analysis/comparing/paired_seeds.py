"""How far two strategies err together where their runs share budget and seed: the same order of the data and the same
initialisation, so part of the same scatter.
"""

import math

import numpy as np

from analysis.fitting.fit import Fit
from analysis.tables.points import ERROR, Point
from analysis.tables.table import Table

FEWEST_PAIRS = 6
"""Fewer pairs than this say nothing about a correlation (assumption)."""


def correlation(table: Table, first: tuple[Point, ...], second: tuple[Point, ...], fits: tuple[Fit, Fit]) -> float:
    """The correlation of the residuals of runs with equal budget and seed, shrunk by (pairs - 2) / (pairs + 2).

    0 where pairs are few, or where the correlation is negative, which would be chance.
    """
    residuals = [_residuals(table, points, fit) for points, fit in zip((first, second), fits, strict=True)]
    common = sorted(set(residuals[0]) & set(residuals[1]))
    if len(common) < FEWEST_PAIRS:
        return 0.0
    x, y = (np.array([side[pair] for pair in common]) for side in residuals)
    if x.std() == 0.0 or y.std() == 0.0:
        return 0.0
    raw = float(np.corrcoef(x, y)[0, 1])
    return max(0.0, raw) * (len(common) - 2) / (len(common) + 2)


def _residuals(table: Table, points: tuple[Point, ...], fit: Fit) -> dict[tuple[float, str], float]:
    """Log of measured over fitted error of each run, by budget and seed."""
    residuals = {}
    for point in points:
        fitted_log = math.log(float(fit.predict({"C": [point.flops]})[0]))
        for i in point.rows:
            seed, error = table.rows[i].get("seed"), table.number(i, ERROR)
            if seed is not None and error > 0.0:
                budget = table.number(i, "budget_flops")
                residuals[point.flops if math.isnan(budget) else budget, str(seed)] = math.log(error) - fitted_log
    return residuals
