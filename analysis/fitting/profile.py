"""The profile of a law's value: the best objective under the constraint that the law has a given value at a point.

An end of an interval lies where the profile meets the threshold. Both ends of every point are found together: each is
a lane of the batched minimiser, and its root is found by false position.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.fitting.fit import Fit
from analysis.fitting.laws import Array
from analysis.fitting.minimiser import SMALLEST_ERROR, Penalty, Problem, Quantity, minimise
from analysis.fitting.student_t import t_quantile
from analysis.fitting.threshold import huber_moments, unit_rise

ROUNDS = 10
"""The most steps of false position."""

LANE_STEPS, LANE_TOLERANCE = 60, 1e-8
"""Most steps of a lane, and the relative decrease at which it stops: ends are wanted to a share of a percent."""

ROOT_TOLERANCE = 2e-3
"""An end is found when the square root of the objective's rise is within this share of that of the threshold."""

PENALTY = 10.0
"""How strongly lanes are drawn to their target, against the profile's own curvature.

Any strength gives exact points of the profile. A strong penalty makes a narrow curved valley that costs ten times the
steps; a weak penalty may not hold a lane on a flat side.
"""


def profile_ends(fit: Fit, z: Mapping[str, Array], level: float, run_weight: Array | None) -> Array:
    """Lower and upper ends (2, k) on the scale of the residuals, at centred logs `z` of shape (1, k).

    The ends are those of the curve or, with `run_weight` (k,), of one new run with this weight, for squares alone: the
    residual of the new run then joins the objective.
    """
    problem = fit.problem
    points = max(value.shape[1] for value in z.values())
    quantity = _value_at(fit, {name: np.tile(np.broadcast_to(value, (1, points)), 2).T for name, value in z.items()})
    best = np.repeat(fit.parameters[None, :], 2 * points, 0)
    middle, slope = quantity(best, np.arange(2 * points))
    rise = unit_rise(problem, fit.parameters, fit.dof)
    if rise <= 1e-22 * max(1.0, float(problem.w.sum())):
        return np.stack([middle[:points], middle[points:]])
    room = rise * _t_squared(fit, slope, level)
    reach = np.sqrt(room) * _unit_error(problem, fit.parameters, slope)
    if run_weight is None:
        strength = PENALTY * room / reach**2
        reach = reach * (1.0 + 1.0 / PENALTY)
    else:
        strength = np.tile(run_weight, 2) / (1.0 + (fit.cluster_ratio or 0.0))
        reach = np.hypot(reach, np.sqrt(room / strength))
    profile = _Profile(
        problem=problem,
        quantity=quantity,
        best=best,
        smallest=float(problem.cost(fit.parameters[None, :])[0]),
        room=room,
        strength=strength,
        of_new_run=run_weight is not None,
    )
    ends = profile.ends(middle, np.repeat([-1.0, 1.0], points) * reach)
    return np.stack([ends[:points], ends[points:]])


def _value_at(fit: Fit, z: Mapping[str, Array]) -> Quantity:
    """The law's value on the scale of the residuals, as a quantity of lanes; `z` holds one point a lane, (B, 1)."""

    def quantity(x: Array, live: npt.NDArray[np.intp]) -> tuple[Array, Array]:
        value, jacobian = fit.law.evaluate({name: column[live] for name, column in z.items()}, x)
        value, jacobian = value[:, 0], jacobian[:, 0, :]
        if not fit.loss.log:
            return value, jacobian
        value = np.maximum(value, SMALLEST_ERROR)
        return np.log(value), jacobian / value[:, None]

    return quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class _Profile:
    """The profile of a quantity, one lane for each end. `best` (B, m) is the fit, `smallest` its objective; the
    objective may rise by `room` (B,). `strength` (B,) is that of the penalty, which counts as part of the objective
    where the interval is `of_new_run`.
    """

    problem: Problem
    quantity: Quantity
    best: Array
    smallest: float
    room: Array
    strength: Array
    of_new_run: bool

    def ends(self, middle: Array, step: Array) -> Array:
        """The ends (B,), searched from `middle` (B,) with a first stride `step` (B,)."""
        inside, outside = middle.copy(), np.full(len(middle), np.nan)
        inside_root, outside_root = np.zeros(len(middle)), np.full(len(middle), np.nan)
        target, warm, ends, searching = middle + step, self.best, middle.copy(), np.ones(len(middle), dtype=bool)
        for _ in range(ROUNDS):
            warm, value, root = self._lowest(warm, target)
            within = root < 1.0
            inside, inside_root = np.where(within, target, inside), np.where(within, root, inside_root)
            outside, outside_root = np.where(within, outside, target), np.where(within, outside_root, root)
            ends = np.where(searching, value, ends)
            searching &= np.abs(root - 1.0) > ROOT_TOLERANCE
            if not searching.any():
                break
            share = np.clip((1.0 - inside_root) / (outside_root - inside_root), 0.03, 0.97)
            stride = np.clip(1.1 / np.maximum(inside_root, 1e-3), 1.2, 4.0)
            grown = np.where(inside == middle, middle + 4.0 * step, middle + (inside - middle) * stride)
            target = np.where(np.isnan(outside), grown, inside + (outside - inside) * share)
        return ends

    def _lowest(self, warm: Array, target: Array) -> tuple[Array, Array, Array]:
        """Each lane's lowest place (B, m) near `target` (B,), from two starts: `warm` (B, m) and the fit.

        With it the quantity there (B,), and the square root (B,) of the objective's rise over the room for it.
        """
        lanes = len(target)

        def doubled(x: Array, live: npt.NDArray[np.intp]) -> tuple[Array, Array]:
            return self.quantity(x, live % lanes)

        penalty = Penalty(quantity=doubled, target=np.tile(target, 2), strength=np.tile(self.strength, 2))
        starts = np.vstack([warm, self.best])
        minima = minimise(self.problem, starts, penalty, max_steps=LANE_STEPS, tolerance=LANE_TOLERANCE)
        value, _ = doubled(minima.parameters, np.arange(2 * lanes))
        total = (minima.cost + penalty.strength * (penalty.target - value) ** 2).reshape(2, lanes)
        winner = np.argmin(total, axis=0)
        pick = winner * lanes + np.arange(lanes)
        objective = total[winner, np.arange(lanes)] if self.of_new_run else minima.cost[pick]
        root = np.sqrt(np.maximum(objective - self.smallest, 0.0) / self.room)
        return minima.parameters[pick], target if self.of_new_run else value[pick], root


def _t_squared(fit: Fit, slope_BM: Array, level: float) -> Array:
    """The squared t (B,) of each lane's quantity, whose gradient is a row of `slope_BM`.

    With clusters its degrees of freedom are Satterthwaite's for that quantity; for a robust loss the squared t is
    multiplied by what the clusters add to the quantity's variance.
    """
    if fit.cluster_ratio is None:
        return np.full(len(slope_BM), t_quantile(0.5 + level / 2.0, fit.dof) ** 2)
    noise, free = fit.shared_noise, fit.problem.free(fit.parameters)
    jacobian = fit.jacobian[:, free]
    dofs = [min(fit.dof, noise.dof(jacobian, gradient[free])) for gradient in slope_BM]
    t_squared = np.array([t_quantile(0.5 + level / 2.0, dof) ** 2 for dof in dofs])
    if fit.loss.delta is None:
        return t_squared
    efficiency = _efficiency(fit)
    widened: Array = t_squared * [noise.inflation(jacobian, gradient[free], efficiency) for gradient in slope_BM]
    return widened


def _efficiency(fit: Fit) -> float:
    """The efficiency of a robust fit against least squares: sigma^2 E[psi']^2 / E[psi^2], at most 1."""
    residual, _, weight = fit.problem.linear(fit.parameters[None, :])
    squares, slope = huber_moments(residual[0] * np.sqrt(weight[0]), fit.loss.delta or np.inf, fit.dof)
    return min(1.0, fit.noise_scale**2 * slope**2 / squares)


def _unit_error(problem: Problem, parameters: Array, slope: Array) -> Array:
    """sqrt(g' H^-1 g), the delta-method error (B,) of each lane's quantity at unit noise: a first guess of the ends."""
    _, jacobian, weight = problem.linear(parameters[None, :])
    free = problem.free(parameters)
    weighted = jacobian[0][:, free] * np.sqrt(weight[0])[:, None]
    inverse = np.linalg.pinv(weighted.T @ weighted, rcond=1e-10)
    variance = np.einsum("bi,ij,bj->b", slope[:, free], inverse, slope[:, free])
    error: Array = np.clip(np.sqrt(np.maximum(variance, 0.0)), 1e-6, 1e6)
    return error
