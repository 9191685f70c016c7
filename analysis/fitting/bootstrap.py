"""The wild bootstrap of a fit: every refit is a lane of the batched minimiser, which starts from the fit, and again
from the fit without its floor.
"""

from dataclasses import replace

import numpy as np

from analysis.fitting.cluster_noise import cluster_index
from analysis.fitting.fit import Fit
from analysis.fitting.laws import Array
from analysis.fitting.minimiser import Problem, minimise

DRAWS = 1000
"""Refits where no number is asked for."""

BATCH = 64
"""Lanes worked on together: their Jacobians (64 x 240 points x 5 parameters x 8 bytes) stay in a core's cache."""

TOLERANCE = 1e-7
"""Relative decrease at which a refit stops: a draw's own noise is far larger."""

WEBB = np.sqrt(np.array([1.5, 1.0, 0.5, 0.5, 1.0, 1.5])) * np.array([-1.0, -1.0, -1.0, 1.0, 1.0, 1.0])
"""The six weights of Webb (2014), which give many distinct draws even of few clusters."""


def wild_refits(fitted: Fit, draws: int = DRAWS, seed: int = 0) -> Array:
    """Parameters (draws, m) of refits to residuals that are multiplied by one Webb weight for each cluster.

    The residuals are first inflated by sqrt(n / dof). Points without clusters are clusters of their own.
    """
    rng = np.random.default_rng(seed)
    middle = fitted.loss.link(fitted.predict(fitted.columns))
    residual = (fitted.loss.link(fitted.y) - middle) * np.sqrt(fitted.n / max(fitted.dof, 1))
    cluster = np.arange(fitted.n) if fitted.clusters is None else cluster_index(fitted.clusters)
    count = int(cluster.max()) + 1
    problem, starts, refits = fitted.problem, _starts(fitted), []
    for first in range(0, draws, BATCH):
        size = min(BATCH, draws - first)
        targets = middle + residual * rng.choice(WEBB, (size, count))[:, cluster]
        refits.append(_lower(replace(problem, y=np.exp(targets) if fitted.loss.log else targets), starts))
    return np.vstack(refits)


def _starts(fitted: Fit) -> tuple[Array, Array]:
    """The fit, and the fit without its floor, which is the other place where a draw may have its optimum."""
    bare = fitted.parameters.copy()
    if fitted.law.floor and fitted.law.floor not in fitted.fixed:
        bare[fitted.law.names.index(fitted.law.floor)] = 0.0
    return fitted.parameters, bare


def _lower(lanes: Problem, starts: tuple[Array, Array]) -> Array:
    """The lower of the two minima of each lane, (B, m)."""
    first, second = (
        minimise(lanes, np.repeat(start[None, :], len(lanes.y), 0), max_steps=60, tolerance=TOLERANCE)
        for start in starts
    )
    return np.where((first.cost <= second.cost)[:, None], first.parameters, second.parameters)
