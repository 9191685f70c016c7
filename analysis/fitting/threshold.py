"""The threshold of a profile interval: how far the objective may rise above its minimum inside the interval.

For squares the threshold is S (1 + t^2 / dof), the F test. For a robust loss it is S + lambda t^2 / 2 with lambda =
E[psi^2] / E[psi'], the likelihood-ratio test of Schrader and Hettmansperger (1980). S is the smallest objective.
"""

import numpy as np

from analysis.fitting.laws import Array
from analysis.fitting.minimiser import Problem
from analysis.fitting.student_t import t_quantile

NORMAL_MAD = 0.6745
"""The median absolute value of a standard normal variable."""


def threshold(problem: Problem, parameters: Array, dof: int, level: float) -> float:
    """The objective below which a constrained fit lies inside the `level` interval; `parameters` (m,) are the fit."""
    t = t_quantile(0.5 + level / 2.0, dof)
    smallest = float(problem.cost(parameters[None, :])[0])
    return smallest + t * t * unit_rise(problem, parameters, dof)


def unit_rise(problem: Problem, parameters: Array, dof: int) -> float:
    """The rise of the objective at one standard error from the fit `parameters` (m,)."""
    if problem.loss.delta is None:
        return float(problem.cost(parameters[None, :])[0]) / dof
    residual, _, _ = problem.linear(parameters[None, :])
    squares, slope = huber_moments(residual[0], problem.loss.delta, dof)
    return 0.5 * squares / slope


def huber_moments(residual: Array, delta: float, dof: int) -> tuple[float, float]:
    """E[psi^2] and E[psi'] of a Huber loss over residuals (n,).

    psi' is smoothed over a normal-reference bandwidth, because delta may be tiny. Only the `dof` largest residuals
    count: a fit by absolute deviations goes through as many points as it has parameters, and these zero residuals would
    make the density at zero too high and intervals too short.
    """
    size = np.sort(np.abs(residual))[-dof:]
    scale = max(float(np.median(size)) / NORMAL_MAD, 1e-300)
    width = max(delta, scale * dof ** (-1.0 / 5.0))
    slope = max(float(np.mean(size <= width)), 1.0 / dof) * delta / width
    return float(np.mean(np.minimum(size, delta) ** 2)), slope
