"""Intervals by profile likelihood with the F cut, found by the batched minimiser.

A value v of a quantity (the curve at x, an exponent) belongs to the interval when the best objective under "quantity
= v" stays below `cut`. Reference simulations (Gaussian noise in log error, 15 to 45 points, floors from plain to
zero) put its coverage at 0.87 to 0.95 for a nominal 0.90, where delta-method and reversed-bootstrap intervals fall to
0.5.

For squares the cut is S (1 + t^2 / dof). For a robust loss it is S + lambda t^2 / 2, lambda = E[psi^2] / E[psi'], the
likelihood-ratio test of Schrader and Hettmansperger (1980).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from analysis.fitting.laws import Array
from analysis.fitting.minimiser import SMALLEST_ERROR, Problem, Pull, Quantity, minimise
from analysis.fitting.student_t import t_quantile
from scaling.errors import InputError, nearest

if TYPE_CHECKING:
    from analysis.fitting.bootstrap import Resampling
    from analysis.fitting.fit import Fit

Kind = Literal["curve", "new_run"]
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Where an interval is asked for (`columns`, each (k,)), at which level, for the curve or for one new run, which
    would have `run_weight` (k,) as a point of the fit.
    """

    columns: Mapping[str, npt.ArrayLike]
    level: float
    kind: Kind
    run_weight: npt.ArrayLike


Method = Callable[["Fit", Question], tuple[Array, Array]]

LEVEL = 0.9
"""The level of every interval where none is asked for."""
ROUNDS = 10
# Steps and relative decrease at which a lane of a profile rests: ends are wanted to a share of a percent, not to
# rounding.
LANE_STEPS, LANE_TOLERANCE = 60, 1e-8
# An end of an interval is found when the signed root of its profile is within this share of the cut.
ROOT_TOLERANCE = 2e-3
# How firmly lanes are pulled, against the profile's own curvature. Any strength gives exact points of the profile; a
# strong one makes a narrow curved valley and costs ten times the steps, a weak one may not hold a lane on a flat side.
PULL = 10.0


def interval(
    fit: "Fit",
    columns: Mapping[str, npt.ArrayLike],
    *,
    level: float,
    kind: Kind,
    method: str = "profile",
    run_weight: npt.ArrayLike = 1.0,
) -> tuple[Array, Array]:
    """Lower and upper ends (k,) of the `level` interval at `columns` for the curve or for one new run."""
    if not 0.0 < level < 1.0:
        raise InputError(f"level: {level}, expected between 0 and 1")
    if kind not in ("curve", "new_run"):
        raise InputError(f"kind: {kind!r}{nearest(kind, ['curve', 'new_run'])}")
    if method not in METHODS:
        raise InputError(f"method: {method!r}{nearest(method, METHODS)}")
    return METHODS[method](fit, Question(columns=columns, level=level, kind=kind, run_weight=run_weight))


def profile(fit: "Fit", question: Question) -> tuple[Array, Array]:
    """The profile interval. For squares and a new run, the new run's own residual joins the objective."""
    z = fit.logs(question.columns)
    points = max(value.shape[1] for value in z.values())
    run_weight = np.broadcast_to(np.asarray(question.run_weight, dtype=float), (points,))
    if fit.dof < 1:
        return np.zeros(points), np.full(points, np.inf)
    joint = question.kind == "new_run" and fit.loss.delta is None
    ends = _profile_ends(fit, z, question.level, run_weight if joint else None)
    if question.kind == "new_run" and not joint:
        centre = fit.loss.link(fit.predict(question.columns))
        noise = t_quantile(0.5 + question.level / 2.0, fit.dof) * noise_scale(fit) / np.sqrt(run_weight)
        ends = centre + np.sign(ends - centre) * np.hypot(ends - centre, noise)
    low, high = np.exp(ends) if fit.loss.log else ends
    return low, high


def percentiles(draws: Array) -> Interval:
    """The interval of bootstrap draws (d,) at `LEVEL`."""
    low, high = np.quantile(draws, [0.5 - LEVEL / 2.0, 0.5 + LEVEL / 2.0])
    return float(low), float(high)


def cut(problem: Problem, parameters: Array, dof: int, level: float) -> float:
    """The objective below which a constrained fit is inside the `level` interval."""
    t = t_quantile(0.5 + level / 2.0, dof)
    smallest = float(problem.cost(parameters[None, :])[0])
    return smallest + t * t * _unit_room(problem, parameters, dof)


def noise_scale(fit: "Fit") -> float:
    """The standard deviation of one run on the scale of the residuals: from squares, or robustly for a robust loss."""
    value = fit.predict(fit.columns)
    residual = (fit.loss.link(fit.y) - fit.loss.link(value)) * np.sqrt(fit.weights)
    if fit.loss.delta is None:
        return float(np.sqrt((residual**2).sum() / max(fit.dof, 1)))
    return float(np.median(np.sort(np.abs(residual))[fit.n - fit.dof :])) / 0.6745


def _unit_room(problem: Problem, parameters: Array, dof: int) -> float:
    """What the objective may rise by for an interval of one standard error."""
    if problem.loss.delta is None:
        return float(problem.cost(parameters[None, :])[0]) / dof
    residual, _, _ = problem.linear(parameters[None, :])
    squares, slope = _scores(residual[0], problem.loss.delta, dof)
    return 0.5 * squares / slope


def _scores(residual: Array, delta: float, dof: int) -> tuple[float, float]:
    """E[psi^2] and E[psi'] of a Huber loss, psi' smoothed over a normal-reference bandwidth where delta is tiny.

    Only the `dof` largest residuals count: a fit by absolute deviations goes through as many points as it has
    parameters, and their zeros would make the density at zero too high and intervals too short.
    """
    size = np.sort(np.abs(residual))[-dof:]
    scale = max(float(np.median(size)) / 0.6745, 1e-300)
    width = max(delta, scale * dof ** (-1.0 / 5.0))
    slope = max(float(np.mean(size <= width)), 1.0 / dof) * delta / width
    return float(np.mean(np.minimum(size, delta) ** 2)), slope


def _profile_ends(fit: "Fit", z: Mapping[str, Array], level: float, run_weight: Array | None) -> Array:
    """Both ends for every point on the scale of the residuals, (2, k), of the curve or, with `run_weight` (k,), of new
    runs; two lanes a point, root found by false position.
    """
    problem, law, joint = fit.problem, fit.law, run_weight is not None
    points = max(value.shape[1] for value in z.values())
    lanes = 2 * points
    z_query = {name: np.tile(np.broadcast_to(value, (1, points)), 2).T for name, value in z.items()}

    def quantity(x: Array, live: npt.NDArray[np.intp]) -> tuple[Array, Array]:
        value, jacobian = law.evaluate({name: column[live] for name, column in z_query.items()}, x)
        value, jacobian = value[:, 0], jacobian[:, 0, :]
        if not fit.loss.log:
            return value, jacobian
        value = np.maximum(value, SMALLEST_ERROR)
        return np.log(value), jacobian / value[:, None]

    every = np.arange(lanes)
    best = np.repeat(fit.parameters[None, :], lanes, 0)
    middle, slope = quantity(best, every)
    smallest = float(problem.cost(fit.parameters[None, :])[0])
    unit_room = _unit_room(problem, fit.parameters, fit.dof)
    if unit_room <= 1e-22 * max(1.0, float(problem.w.sum())):
        return np.stack([middle[:points], middle[points:]])
    room = unit_room * _t_squared(fit, slope, level)
    sign = np.repeat([-1.0, 1.0], points)
    reach = np.sqrt(room) * _unit_error(problem, fit.parameters, slope)
    if run_weight is None:
        strength = PULL * room / reach**2
        reach = reach * (1.0 + 1.0 / PULL)
    else:
        strength = np.tile(run_weight, 2) / (1.0 + (fit.cluster_ratio or 0.0))
        reach = np.hypot(reach, np.sqrt(room / strength))

    inside, outside = middle.copy(), np.full(lanes, np.nan)
    inside_root, outside_root = np.zeros(lanes), np.full(lanes, np.nan)
    target, warm, ends, open_lanes = middle + sign * reach, best, middle.copy(), np.ones(lanes, dtype=bool)
    for _ in range(ROUNDS):
        warm, place, root = _profile_point(problem, quantity, warm, best, target, strength, smallest, room, joint)
        within = root < 1.0
        inside, inside_root = np.where(within, target, inside), np.where(within, root, inside_root)
        outside, outside_root = np.where(within, outside, target), np.where(within, outside_root, root)
        ends = np.where(open_lanes, place, ends)
        open_lanes &= np.abs(root - 1.0) > ROOT_TOLERANCE
        if not open_lanes.any():
            break
        share = np.clip((1.0 - inside_root) / (outside_root - inside_root), 0.03, 0.97)
        stride = np.clip(1.1 / np.maximum(inside_root, 1e-3), 1.2, 4.0)
        grown = np.where(inside == middle, middle + 4.0 * sign * reach, middle + (inside - middle) * stride)
        target = np.where(np.isnan(outside), grown, inside + (outside - inside) * share)
    return np.stack([ends[:points], ends[points:]])


def _t_squared(fit: "Fit", slope_BM: Array, level: float) -> Array:
    """The squared t of each lane's quantity; with clusters, by Satterthwaite's degrees of freedom of that quantity, and
    for a robust loss times what the sharing adds to its variance.
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


def _efficiency(fit: "Fit") -> float:
    """Of a robust fit against least squares: sigma^2 E[psi']^2 / E[psi^2], at most 1."""
    residual, _, weight = fit.problem.linear(fit.parameters[None, :])
    scaled = residual[0] * np.sqrt(weight[0])
    squares, slope = _scores(scaled, fit.loss.delta or np.inf, fit.dof)
    return min(1.0, noise_scale(fit) ** 2 * slope**2 / squares)


def _profile_point(
    problem: Problem,
    quantity: Quantity,
    warm: Array,
    best: Array,
    target: Array,
    strength: Array,
    smallest: float,
    room: Array,
    joint: bool,
) -> tuple[Array, Array, Array]:
    """Where each lane comes to rest, the value found there, and the signed root of its objective over the cut."""
    lanes = len(target)

    def doubled(x: Array, live: npt.NDArray[np.intp]) -> tuple[Array, Array]:
        return quantity(x, live % lanes)

    pull = Pull(quantity=doubled, target=np.tile(target, 2), strength=np.tile(strength, 2))
    reached = minimise(problem, np.vstack([warm, best]), pull, max_steps=LANE_STEPS, tolerance=LANE_TOLERANCE)
    value, _ = doubled(reached.parameters, np.arange(2 * lanes))
    penalty = pull.strength * (pull.target - value) ** 2
    total = (reached.cost + penalty).reshape(2, lanes)
    winner = np.argmin(total, axis=0)
    pick = winner * lanes + np.arange(lanes)
    counted = total[winner, np.arange(lanes)] if joint else reached.cost[pick]
    place = target if joint else value[pick]
    return reached.parameters[pick], place, np.sqrt(np.maximum(counted - smallest, 0.0) / room)


def _unit_error(problem: Problem, parameters: Array, slope: Array) -> Array:
    """sqrt(g' H^-1 g), the delta-method error of each lane's quantity at unit noise: only a first guess of the ends."""
    _, jacobian, weight = problem.linear(parameters[None, :])
    free = problem.free(parameters)
    weighted = jacobian[0][:, free] * np.sqrt(weight[0])[:, None]
    inverse = np.linalg.pinv(weighted.T @ weighted, rcond=1e-10)
    variance = np.einsum("bi,ij,bj->b", slope[:, free], inverse, slope[:, free])
    error: Array = np.clip(np.sqrt(np.maximum(variance, 0.0)), 1e-6, 1e6)
    return error


def rollout(fit: "Fit", question: Question) -> tuple[Array, Array]:
    """The profile interval widened by the law's own forecasts inside the data. Raises InputError where they are too
    few.
    """
    from analysis.fitting.backtest import calibrate

    calibration = calibrate(fit, question.level)
    if calibration is None:
        raise InputError(f"method rollout: {fit.n} points of law {fit.law.name} are too few to cut")
    return fit.widened(question.columns, profile(fit, question), calibration.factor)


def bootstrap(resampling: "Resampling") -> Method:
    """The percentile interval of a bootstrap, as a method."""

    def method(fit: "Fit", question: Question) -> tuple[Array, Array]:
        from analysis.fitting.bootstrap import percentile

        return percentile(fit, question, resampling)

    return method


METHODS: dict[str, Method] = {
    "profile": profile,
    "rollout": rollout,
    "residual": bootstrap("residual"),
    "wild": bootstrap("wild"),
    "cases": bootstrap("cases"),
}
