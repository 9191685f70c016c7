"""The minimiser: Levenberg-Marquardt in boxes over many lanes at once, with analytic derivatives, in numpy alone.

A lane is one start, one resample or one end of a profile interval. Because all lanes are worked on together, a thousand
refits take less than a second, and `predict` computes profile intervals without importing an optimiser: importing scipy
costs seconds, and it has no batched minimiser.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from analysis.fitting.laws import Array, Law
from analysis.fitting.losses import Loss

MAX_STEPS = 400
"""The most steps of a lane."""

COST_TOLERANCE = 1e-13
"""A lane has converged when an accepted step lowers its cost by less than this share."""

STEP_TOLERANCE = 1e-11
"""A lane has converged when a step moves it by less than this; parameters are of order one after centring."""

DAMPING = (1e-15, 1e12)
"""The smallest and the largest damping; a lane at the largest has converged."""

SMALLEST_ERROR = 1e-30
"""Errors below this count as this, so that logs and their slopes stay finite on the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A law to be fitted to points: `z` centred logs, `y` targets, `w` weights, each (1 or B, n); the box, each (1 or
    B, m). `whitener` (n, n) makes weighted residuals of points in clusters independent; for squares alone.
    """

    law: Law
    loss: Loss
    z: Mapping[str, Array]
    y: Array
    w: Array
    low: Array
    high: Array
    whitener: Array | None = None

    def lanes(self, index: npt.NDArray[np.intp]) -> "Problem":
        """The problem of some lanes alone."""

        def some(array: Array) -> Array:
            return array if len(array) == 1 else array[index]

        z = {name: some(value) for name, value in self.z.items()}
        return replace(self, z=z, y=some(self.y), w=some(self.w), low=some(self.low), high=some(self.high))

    def cost(self, parameters_BM: Array) -> Array:
        """The objective of each lane, (B,)."""
        value, _ = self.law.evaluate(self.z, parameters_BM)
        residual = self.loss.link(self.y) - self.loss.link(value)
        if self.whitener is None:
            return self.loss.cost(residual, self.w)
        white = (residual * np.sqrt(self.w)) @ self.whitener.T
        return self.loss.cost(white, np.ones_like(white))

    def weighted(self, parameters_M: Array) -> tuple[Array, Array]:
        """Weighted residuals (n,) and their Jacobian (n, m)."""
        residual, jacobian, weight = self.linear(parameters_M[None, :])
        root = np.sqrt(weight[0])
        return residual[0] * root, jacobian[0] * root[:, None]

    def free(self, parameters_M: Array) -> npt.NDArray[np.bool_]:
        """Parameters (m,) that are not on their bounds."""
        inside: npt.NDArray[np.bool_] = (parameters_M > self.low[0]) & (parameters_M < self.high[0])
        return inside

    def linear(self, parameters_BM: Array) -> tuple[Array, Array, Array]:
        """Residuals (B, n), their derivatives' negatives (B, n, m), weights (1 or B, n), on the loss's scale."""
        value, jacobian = self.law.evaluate(self.z, parameters_BM)
        if self.loss.log:
            value = np.maximum(value, SMALLEST_ERROR)
            jacobian = jacobian / value[:, :, None]
        residual = self.loss.link(self.y) - self.loss.link(value)
        if self.whitener is None:
            return residual, jacobian, self.w
        root = np.sqrt(self.w)
        return (residual * root) @ self.whitener.T, self.whitener @ (jacobian * root[:, :, None]), np.ones_like(self.w)


Quantity = Callable[[Array, npt.NDArray[np.intp]], tuple[Array, Array]]
"""A function of parameters (B, m) and the indices of their lanes (B,): a value (B,) and its gradient (B, m)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalty:
    """A penalty `strength (target - quantity)^2` that draws each lane to where a quantity has a wanted value.

    For any strength, the minimum of cost plus penalty is exactly a point of the quantity's profile.
    """

    quantity: Quantity
    target: Array
    strength: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Minima:
    """What each lane reached: parameters (B, m), its cost without the penalty, whether it converged."""

    parameters: Array
    cost: Array
    converged: npt.NDArray[np.bool_]


def minimise(
    problem: Problem,
    starts_BM: Array,
    penalty: Penalty | None = None,
    max_steps: int = MAX_STEPS,
    tolerance: float = COST_TOLERANCE,
) -> Minima:
    """Descend from every start until its lane converges or `max_steps` are spent."""
    lanes = len(starts_BM)
    best = np.clip(starts_BM, problem.low, problem.high)
    converged = np.zeros(lanes, dtype=bool)
    live = np.arange(lanes)
    part, x = problem, best.copy()
    damping = np.full(lanes, 1e-3)
    total, gradient, hessian = _quadratic_model(part, x, penalty, live)
    for _ in range(max_steps):
        step = _step(x, gradient, hessian, damping, part.low, part.high)
        trial = np.clip(x + step, part.low, part.high)
        trial_total, trial_gradient, trial_hessian = _quadratic_model(part, trial, penalty, live)
        better = trial_total <= total
        moved = np.abs(trial - x).max(1)
        done = (better & (total - trial_total <= tolerance * np.abs(total))) | (moved <= STEP_TOLERANCE)
        done |= damping >= DAMPING[1]
        x = np.where(better[:, None], trial, x)
        total = np.where(better, trial_total, total)
        gradient = np.where(better[:, None], trial_gradient, gradient)
        hessian = np.where(better[:, None, None], trial_hessian, hessian)
        damping = np.clip(np.where(better, damping / 10.0, damping * 8.0), *DAMPING)
        if done.any():
            best[live[done]] = x[done]
            converged[live[done]] = True
            keep = ~done
            live, x, total, gradient, hessian, damping = (
                live[keep], x[keep], total[keep], gradient[keep], hessian[keep], damping[keep]
            )  # fmt: skip
            if len(live) == 0:
                break
            part = problem.lanes(live)
    best[live] = x
    return Minima(parameters=best, cost=problem.cost(best), converged=converged)


def _quadratic_model(
    problem: Problem, x: Array, penalty: Penalty | None, live: npt.NDArray[np.intp]
) -> tuple[Array, Array, Array]:
    """Total cost (B,), its descent direction (B, m) and the Gauss-Newton curvature (B, m, m)."""
    residual, jacobian, weight = problem.linear(x)
    total = problem.loss.cost(residual, weight)
    weighted = jacobian * (weight * problem.loss.curvature(residual))[:, :, None]
    gradient = np.matmul(weighted.transpose(0, 2, 1), residual[:, :, None])[:, :, 0]
    hessian = np.matmul(weighted.transpose(0, 2, 1), jacobian)
    if penalty is not None:
        quantity, slope = penalty.quantity(x, live)
        short, strength = penalty.target[live] - quantity, penalty.strength[live]
        total = total + strength * short**2
        gradient = gradient + 2.0 * (strength * short)[:, None] * slope
        hessian = hessian + 2.0 * strength[:, None, None] * slope[:, :, None] * slope[:, None, :]
    return total, gradient, hessian


def _step(x: Array, gradient: Array, hessian: Array, damping: Array, low: Array, high: Array) -> Array:
    """A damped Newton step; parameters that sit on their bound and would leave the box stay where they are."""
    stuck = ((x <= low) & (gradient <= 0.0)) | ((x >= high) & (gradient >= 0.0))
    free = ~stuck
    diagonal = np.einsum("bii->bi", hessian)
    scale = np.sqrt(np.where(free & (diagonal > 0.0), diagonal, 1.0))
    system = hessian / (scale[:, :, None] * scale[:, None, :])
    system = system * (free[:, :, None] & free[:, None, :])
    index = np.arange(x.shape[1])
    system[:, index, index] = np.where(free, np.where(diagonal > 0.0, 1.0, 0.0) + damping[:, None] + 1e-14, 1.0)
    right = np.where(free, gradient / scale, 0.0)
    return np.linalg.solve(system, right[:, :, None])[:, :, 0] / scale


def linear_coefficients(shapes_BNK: Array, y: Array, w: Array, fixed: Mapping[int, float]) -> Array:
    """Non-negative least-squares coefficients (B, k) of shapes (B, n, k), by trying every set of positive ones.

    At most four coefficients, hence at most fifteen sets: exact, and batched where an iterative method is not. `fixed`
    holds coefficients whose value is given.
    """
    lanes, _, count = shapes_BNK.shape
    rest = y - sum((value * shapes_BNK[:, :, k] for k, value in fixed.items()), np.zeros_like(y))
    weighted = shapes_BNK * w[:, :, None]
    gram = np.matmul(weighted.transpose(0, 2, 1), shapes_BNK)
    moment = np.matmul(weighted.transpose(0, 2, 1), np.broadcast_to(rest, shapes_BNK.shape[:2])[:, :, None])[:, :, 0]
    best = np.zeros((lanes, count))
    gain = np.full(lanes, -np.inf)
    free = [k for k in range(count) if k not in fixed]
    for mask in range(1 << len(free)):
        chosen = [k for j, k in enumerate(free) if mask >> j & 1]
        trial = np.zeros((lanes, count))
        if chosen:
            sub = gram[:, chosen][:, :, chosen]
            ridge = 1e-13 * np.einsum("bii->bi", sub)[:, :, None] * np.eye(len(chosen))
            trial[:, chosen] = np.linalg.solve(sub + ridge, moment[:, chosen][:, :, None])[:, :, 0]
        explained = 2.0 * (trial * moment).sum(1) - np.einsum("bi,bij,bj->b", trial, gram, trial)
        wins = (trial >= 0.0).all(1) & (explained > gain)
        best = np.where(wins[:, None], trial, best)
        gain = np.where(wins, explained, gain)
    for k, value in fixed.items():
        best[:, k] = value
    return best
