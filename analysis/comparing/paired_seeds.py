"""How far two strategies err together where their runs share budget and seed: the same order of the data and the same
initialisation, so part of the same scatter.
"""

import math

import numpy as np

from analysis.curves.curves import Curve
from analysis.tables.seed_averaged_points import Point
from analysis.tables.table import Table
from analysis.tables.usable_rows import ERROR

FEWEST_PAIRS = 6
"""Fewer pairs than this say nothing about a correlation (assumption)."""


def correlation(table: Table, sides: tuple[tuple[Curve, tuple[Point, ...]], tuple[Curve, tuple[Point, ...]]]) -> float:
    """The correlation of the residuals of runs with equal budget and seed, shrunk by (pairs - 2) / (pairs + 2).

    0 where pairs are few, or where the correlation is negative, which would be chance.
    """
    residuals = [_residuals(table, points, curve) for curve, points in sides]
    common = sorted(set(residuals[0]) & set(residuals[1]))
    if len(common) < FEWEST_PAIRS:
        return 0.0
    x, y = (np.array([side[pair] for pair in common]) for side in residuals)
    if x.std() == 0.0 or y.std() == 0.0:
        return 0.0
    raw = float(np.corrcoef(x, y)[0, 1])
    return max(0.0, raw) * (len(common) - 2) / (len(common) + 2)


def _residuals(table: Table, points: tuple[Point, ...], curve: Curve) -> dict[tuple[float, str], float]:
    """Log of measured over fitted error of each run, by budget and seed."""
    residuals = {}
    fitted_logs = np.log(curve.predicted({"C": [point.flops for point in points]})).tolist()
    for point, fitted_log in zip(points, fitted_logs, strict=True):
        for i in point.rows:
            seed, error = table.rows[i].get("seed"), table.number(i, ERROR)
            if seed is not None and error > 0.0:
                budget = table.number(i, "budget_flops")
                residuals[point.flops if math.isnan(budget) else budget, str(seed)] = math.log(error) - fitted_log
    return residuals
