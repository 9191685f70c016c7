"""Bootstraps of a fit: every refit is a lane of the batched minimiser, warm from the fit and guarded by a second start.

Options, not the default: where the true floor is zero, percentile bootstraps of this law hold 80-84 % for a nominal
90 % in reference simulations, the profile 91 %.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from analysis.fitting.fit import Fit
from analysis.fitting.laws import Array
from analysis.fitting.minimiser import Problem, minimise

if TYPE_CHECKING:
    from analysis.fitting.intervals import Question

Resampling = Literal["residual", "wild", "cases"]

DRAWS = 1000
# Lanes worked on together: their Jacobians (64 x 240 points x 5 parameters x 8 bytes) stay in a core's cache.
BATCH = 64
# A draw's own noise dwarfs this share of its objective.
TOLERANCE = 1e-7
# Webb (2014): six values, so that few clusters still give many distinct draws.
WEBB = np.sqrt(np.array([1.5, 1.0, 0.5, 0.5, 1.0, 1.5])) * np.array([-1.0, -1.0, -1.0, 1.0, 1.0, 1.0])


def refits(fitted: Fit, resampling: Resampling, draws: int = DRAWS, seed: int = 0) -> Array:
    """Parameters (draws, m) of refits.

    "residual": residuals, inflated by sqrt(n / dof), drawn with replacement. "wild": each cluster's residuals times one
    Webb weight. "cases": clusters drawn with replacement, as weights.
    """
    rng = np.random.default_rng(seed)
    problem, dof = fitted.problem, max(fitted.dof, 1)
    middle = fitted.loss.link(fitted.predict(fitted.columns))
    residual = (fitted.loss.link(fitted.y) - middle) * np.sqrt(fitted.n / dof)
    cluster = _cluster_index(fitted)
    count = int(cluster.max()) + 1
    guarded = _two_starts(fitted)
    found = []
    for first in range(0, draws, BATCH):
        size = min(BATCH, draws - first)
        targets, weights = np.broadcast_to(fitted.loss.link(fitted.y), (size, fitted.n)), problem.w
        if resampling == "residual":
            scaled = residual * np.sqrt(fitted.weights)
            targets = middle + rng.choice(scaled, (size, fitted.n)) / np.sqrt(fitted.weights)
        elif resampling == "wild":
            targets = middle + residual * rng.choice(WEBB, (size, count))[:, cluster]
        else:
            weights = problem.w * rng.multinomial(count, np.full(count, 1.0 / count), size)[:, cluster]
        y = np.exp(targets) if fitted.loss.log else targets
        lanes = replace(problem, y=y, w=weights)
        found.append(_descend(lanes, guarded))
    return np.vstack(found)


def percentile(fitted: Fit, question: "Question", resampling: Resampling) -> tuple[Array, Array]:
    """The percentile interval (k,) of the curve, or of the curve plus Gaussian noise for one new run."""
    from analysis.fitting.intervals import noise_scale

    parameters = refits(fitted, resampling)
    value, _ = fitted.law.evaluate(fitted.logs(question.columns), parameters)
    linked = fitted.loss.link(value)
    if question.kind == "new_run":
        scale = noise_scale(fitted) / np.sqrt(np.asarray(question.run_weight, dtype=float))
        linked = linked + scale * np.random.default_rng(1).standard_normal(linked.shape)
    low, high = np.quantile(linked, [0.5 - question.level / 2.0, 0.5 + question.level / 2.0], axis=0)
    return (np.exp(low), np.exp(high)) if fitted.loss.log else (low, high)


def _two_starts(fitted: Fit) -> Array:
    """The fit, and the fit without its floor: the other place where a draw may have its optimum."""
    bare = fitted.parameters.copy()
    if fitted.law.floor and fitted.law.floor not in fitted.fixed:
        bare[fitted.law.names.index(fitted.law.floor)] = 0.0
    return np.stack([fitted.parameters, bare])


def _descend(lanes: Problem, starts: Array) -> Array:
    reached = [
        minimise(lanes, np.repeat(start[None, :], len(lanes.y), 0), max_steps=60, tolerance=TOLERANCE)
        for start in starts
    ]
    better = reached[0].cost <= reached[1].cost
    return np.where(better[:, None], reached[0].parameters, reached[1].parameters)


def _cluster_index(fitted: Fit) -> npt.NDArray[np.intp]:
    if fitted.clusters is None:
        return np.arange(fitted.n)
    order = {label: i for i, label in enumerate(dict.fromkeys(fitted.clusters))}
    return np.array([order[label] for label in fitted.clusters])
