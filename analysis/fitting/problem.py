"""The problem of a fit: the box of its parameters, and the starts that variable projection gives.

Variable projection: on a grid over the exponents, coefficients are solved in closed form at every grid point. The best
grid point for each value of the first exponent is a start.
"""

from collections.abc import Mapping
from itertools import product

import numpy as np

from analysis.fitting.laws import Array, Exponent, Law
from analysis.fitting.losses import Loss
from analysis.fitting.minimiser import Problem, linear_coefficients

AMPLITUDE_BOX = 30.0
"""Amplitudes at the centre of the data lie within a factor of e^30 of the data: the box only stops runaways."""


def problem_of(
    law: Law, loss: Loss, columns: Mapping[str, Array], y: Array, weights: Array, fixed: Mapping[str, float]
) -> Problem:
    """The problem of fitting `law` to points, one lane; `fixed` parameters have a box of no width."""
    centre = law.centre(columns)
    z = {name: np.log(columns[name])[None, :] - centre[name] for name in law.columns}
    low, high = [], []
    for term in law.terms:
        level = float(np.log(y).mean())
        low.append(level - AMPLITUDE_BOX if term.amplitude else 0.0)
        high.append(level + AMPLITUDE_BOX if term.amplitude else np.inf)
    for exponent in law.exponents:
        ends = _locate(exponent, (exponent.low, exponent.high), z)
        low.append(ends[0])
        high.append(ends[1])
    for j, name in enumerate(law.names):
        if name in fixed:
            low[j] = high[j] = law.parameters({**dict.fromkeys(law.names, 1.0), **fixed}, centre)[j]
    box = (np.array(low)[None, :], np.array(high)[None, :])
    return Problem(law=law, loss=loss, z=z, y=y[None, :], w=weights[None, :], low=box[0], high=box[1])


def starts_of(problem: Problem, fixed: Mapping[str, float]) -> Array:
    """The best grid point for each value of the first free exponent, coefficients solved. Shape (starts, m)."""
    law = problem.law
    count = len(law.terms)
    axes = [
        np.array([problem.low[0, count + j]]) if e.name in fixed else _locate(e, e.starts, problem.z)
        for j, e in enumerate(law.exponents)
    ]
    q = np.array(list(product(*axes)))
    x = np.hstack([np.zeros((len(q), count)), q])
    shapes = law.shapes(problem.z, {e.name: q[:, j, None] for j, e in enumerate(law.exponents)})
    lanes, points = len(q), problem.y.shape[1]
    phi = np.stack([np.broadcast_to(value, (lanes, points)) for value, _ in shapes], axis=2)
    weight = problem.w / problem.y**2 if problem.loss.log else problem.w
    held = {k: problem.low[0, k] for k, term in enumerate(law.terms) if term.name in fixed}
    coefficients = linear_coefficients(phi, problem.y, weight, held)
    for k, term in enumerate(law.terms):
        smallest = 1e-3 * float(problem.y.min())
        x[:, k] = np.log(np.maximum(coefficients[:, k], smallest)) if term.amplitude else coefficients[:, k]
    cost = problem.cost(np.clip(x, problem.low, problem.high))
    first = next((j for j, axis in enumerate(axes) if len(axis) > 1), 0)
    chosen = []
    for value in axes[first]:
        rows = np.flatnonzero(q[:, first] == value)
        chosen.append(rows[np.argmin(cost[rows])])
    starts: Array = x[np.array(chosen)]
    return starts


def _locate(exponent: Exponent, values: tuple[float, ...], z: Mapping[str, Array]) -> Array:
    if exponent.kind != "location":
        return np.array(values, dtype=float)
    smallest, largest = float(z[exponent.column].min()), float(z[exponent.column].max())
    return smallest + np.array(values) * (largest - smallest)
