"""Diagnostics of a fit: its status, and notes on what its points do not identify."""

from collections.abc import Mapping

import numpy as np

from analysis.fitting.laws import Array
from analysis.fitting.minimiser import Minima, Problem, minimise
from analysis.fitting.student_t import t_quantile
from analysis.fitting.threshold import threshold
from analysis.notes import Note, Status
from scaling.scoring.interval import LEVEL

CLEARLY_INSIDE = 4.0
"""An exponent whose bound lies this many of its symmetric half-widths away is identified without a profile."""


def diagnose(
    problem: Problem, minima: Minima, best: int, columns: Mapping[str, Array], fixed: Mapping[str, float]
) -> tuple[Status, list[Note]]:
    """The status of the fit in lane `best` of `minima`, and notes that explain it."""
    law, x = problem.law, minima.parameters[best]
    notes: list[Note] = []
    status: Status = "ok"
    if law.floor and law.floor not in fixed and x[law.names.index(law.floor)] <= 1e-9 * problem.y.min():
        notes.append(
            Note(
                "floor_at_zero", "The best floor of the law is zero: the runs show no error that compute cannot remove."
            )
        )
        status = "at_bound"
    for name in law.columns:
        if np.ptp(problem.z[name]) < 1e-9:
            same = f"All points have {name}={columns[name][0]:.4g}"
            notes.append(Note("one_value", f"{same}, so the term of {name} in the law means nothing."))
            status = "not_identified"
    loose = _unidentified(problem, minima, best, fixed)
    if loose:
        which = f"The {LEVEL:.0%} interval of {', '.join(loose)} reaches the edge of what is searched"
        notes.append(Note("exponent_not_identified", f"{which}: the points do not identify this exponent."))
        status = "not_identified"
    if problem.y.shape[1] - len(law.names) + len(fixed) < 1:
        notes.append(
            Note(
                "too_few_points",
                f"{problem.y.shape[1]} points are no more than the law has parameters, so there is no interval.",
            )
        )
        status = "too_few_points"
    if not minima.converged[best]:
        notes.append(Note("not_converged", "The search for the best parameters stopped early."))
        status = "not_converged"
    return status, notes


def _unidentified(problem: Problem, minima: Minima, best: int, fixed: Mapping[str, float]) -> list[str]:
    """Exponents whose 90 % profile interval reaches the edge of the box."""
    law = problem.law
    free = [j for j, name in enumerate(law.names) if j >= len(law.terms) and name not in fixed]
    dof = problem.y.shape[1] - len(law.names) + len(fixed)
    if not free or dof < 1:
        return []
    x, error = minima.parameters[best], _standard_errors(problem, minima.parameters[best], dof)
    far = CLEARLY_INSIDE * t_quantile(0.5 + LEVEL / 2.0, dof) * error
    lanes = [(j, end) for j in free for end in (problem.low[0, j], problem.high[0, j]) if abs(end - x[j]) <= far[j]]
    if not lanes:
        return []
    low, high = np.repeat(problem.low, len(lanes), 0), np.repeat(problem.high, len(lanes), 0)
    for lane, (j, end) in enumerate(lanes):
        low[lane, j] = high[lane, j] = end
    held = Problem(law=law, loss=problem.loss, z=problem.z, y=problem.y, w=problem.w, low=low, high=high)
    edges = minimise(held, np.repeat(x[None, :], len(lanes), 0), max_steps=60)
    inside = edges.cost <= threshold(problem, x, dof, LEVEL)
    return list(dict.fromkeys(law.names[j] for (j, _), within in zip(lanes, inside, strict=True) if within))


def _standard_errors(problem: Problem, parameters: Array, dof: int) -> Array:
    """Delta-method errors (m,); infinite for parameters on a bound or that the points do not move."""
    residual, jacobian = problem.weighted(parameters)
    free = problem.free(parameters)
    error = np.full(len(parameters), np.inf)
    with np.errstate(all="ignore"):
        try:
            variance = np.diagonal(np.linalg.inv(jacobian[:, free].T @ jacobian[:, free])) * (residual @ residual) / dof
        except np.linalg.LinAlgError:
            return error
        error[free] = np.where(variance > 0.0, np.sqrt(variance), np.inf)
    return error
