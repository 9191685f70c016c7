"""The variance between trunks: all budgets of a seed that are cut from one trunk of training share its random effect.

The effect moves the whole curve, so the residuals of a curve cannot show it; runs of other seeds can. Its variance is
estimated from runs against the mean of their budget. The mean over S seeds has 1/S of the variance, which is known with
S - 1 degrees of freedom.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.fitting.cluster_noise import shared_ratio
from analysis.tables.seed_averaged_points import Point
from analysis.tables.table import Table
from analysis.tables.usable_rows import ERROR

CLUSTER = "cluster"
"""The column that names the trunk of a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkVariance:
    """The variance of trunks over a run's own noise (None where it does not show), and the number of trunks."""

    ratio: float | None
    trunks: int


def trunk_variance(table: Table, points: Sequence[Point]) -> TrunkVariance | None:
    """The trunk variance of one curve; None where its runs share no trunk."""
    labels = [[str(table.rows[i].get(CLUSTER) or f"row {i}") for i in point.rows] for point in points]
    budgets_of = Counter(label for group in labels for label in set(group))
    trunks = sum(count > 1 for count in budgets_of.values())
    if not trunks:
        return None
    logs, trunk, budget = [], [], []
    for number, (point, group) in enumerate(zip(points, labels, strict=True)):
        for i, label in zip(point.rows, group, strict=True):
            error = table.number(i, ERROR)
            if error > 0.0:
                logs.append(math.log(error))
                trunk.append(label)
                budget.append(number)
    if trunks < 2 or len(logs) - len(set(budget)) < 2:
        return TrunkVariance(ratio=None, trunks=trunks)
    means = (np.array(budget)[:, None] == np.arange(len(points))[None, :]).astype(float)
    own = np.array(logs) - means @ (means.T @ np.array(logs) / np.maximum(means.sum(0), 1.0))
    return TrunkVariance(ratio=shared_ratio(own, means[:, means.sum(0) > 0], trunk), trunks=trunks)
