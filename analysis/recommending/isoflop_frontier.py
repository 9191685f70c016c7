"""The efficient frontier over model sizes: the best size of each budget, and where it moves with compute.

An isoFLOP valley is a parabola of log error over log size through all runs of a budget. Its floor does not inherit the
luck of the best run, as the smallest error measured does. Every interval comes from one wild bootstrap that repeats the
whole chain (valley, floor, trend over budgets), so that the interval holds the selection as well. The same answer is
also given by one law in size and data (`chinchilla`, D = C / 6 N), which uses all budgets at once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.fitting.backtest import SAME_LEVEL
from analysis.fitting.fit import fit
from analysis.fitting.intervals import Interval, percentiles
from analysis.fitting.laws import Array
from analysis.notes import IDENTIFIED, Note
from scaling.errors import InputError
from scaling.scoring.interval import LEVEL

FEWEST_SIZES = 4
"""A parabola through three sizes has no residual; four show whether there is a valley."""
FEWEST_BUDGETS = 3
"""A line through two budgets has no residual."""
DRAWS = 1000
"""Draws of the bootstrap: the ends of a 90 % interval rest on 50 draws each."""
FLOPS_A_PARAMETER_AND_TOKEN = 6.0
"""Kaplan et al. 2020: forward and backward of a dense model take six FLOPs a parameter and token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Valley:
    """One budget: the best size and its error, with intervals; `inside`: the sizes tried lie on both sides of it."""

    flops: float
    sizes: int
    best_size: float
    best_size_interval: Interval
    error: float
    error_interval: Interval
    inside: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """Valleys and their trend, best size = `scale` C^`exponent`; `joint_exponent` is the joint law's, if it fits."""

    valleys: tuple[Valley, ...]
    exponent: float
    exponent_interval: Interval
    scale: float
    joint_exponent: float | None
    level: float = LEVEL
    warnings: tuple[Note, ...]

    def best_size(self, flops: float) -> float:
        """The trend at a budget."""
        return self.scale * math.pow(flops, self.exponent)


def frontier(flops: Array, sizes: Array, errors: Array, seed: int = 0) -> Frontier:
    """The frontier of runs, arrays of shape (n,). Raises InputError where too few budgets have enough sizes."""
    rng = np.random.default_rng(seed)
    groups = [index for index in _budgets(flops) if len(np.unique(sizes[index])) >= FEWEST_SIZES]
    if len(groups) < FEWEST_BUDGETS:
        usable = f"{len(groups)} budgets with at least {FEWEST_SIZES} model sizes"
        raise InputError(f"frontier: {usable}; at least {FEWEST_BUDGETS} are needed")
    valleys, log_best = [], []
    for index in groups:
        x, y = np.log(sizes[index]), np.log(errors[index])
        drawn = _drawn_floors(x, y, rng)
        valleys.append(_valley(float(np.exp(np.log(flops[index]).mean())), x, y, drawn))
        log_best.append(drawn[:, 0])
    budgets = np.array([math.log(valley.flops) for valley in valleys])
    slope, offset = np.polyfit(budgets, [math.log(valley.best_size) for valley in valleys], 1)
    slopes = np.polyfit(budgets, np.array(log_best), 1)[0]
    return Frontier(
        valleys=tuple(valleys),
        exponent=float(slope),
        exponent_interval=percentiles(slopes),
        scale=float(np.exp(offset)),
        joint_exponent=_joint_exponent(flops, sizes, errors),
        warnings=tuple(_notes(valleys)),
    )


def wild_draws(shapes_NM: Array, y: Array, draws: int, rng: np.random.Generator) -> Array:
    """Coefficients (draws, m) of a linear fit to wild draws, residuals inflated for leverage (HC3)."""
    solve = np.linalg.pinv(shapes_NM)
    hat = shapes_NM @ solve
    residual = (y - hat @ y) / np.maximum(1.0 - np.diagonal(hat), 0.1)
    drawn: Array = ((hat @ y) + residual * rng.choice([-1.0, 1.0], (draws, len(y)))) @ solve.T
    return drawn


def _budgets(flops: Array) -> list[Array]:
    """Indices of the runs of each budget; budgets that differ by less than a step of size are one."""
    order = np.argsort(flops, kind="stable")
    cuts = np.flatnonzero(np.diff(np.log(flops[order])) > SAME_LEVEL) + 1
    return np.split(order, cuts)


def _valley(flops: float, x: Array, y: Array, drawn: Array) -> Valley:
    best, floor = _floor(np.polyfit(x - x.mean(), y, 2), x)
    return Valley(
        flops=flops,
        sizes=len(np.unique(x)),
        best_size=math.exp(best),
        best_size_interval=(math.exp(percentiles(drawn[:, 0])[0]), math.exp(percentiles(drawn[:, 0])[1])),
        error=math.exp(floor),
        error_interval=(math.exp(percentiles(drawn[:, 1])[0]), math.exp(percentiles(drawn[:, 1])[1])),
        inside=bool(x.min() < best < x.max()),
    )


def _drawn_floors(x: Array, y: Array, rng: np.random.Generator) -> Array:
    """Log best size and log error (draws, 2) of wild draws."""
    return np.array([_floor(drawn, x) for drawn in wild_draws(np.vander(x - x.mean(), 3), y, DRAWS, rng)])


def _floor(coefficients: Array, x: Array) -> tuple[float, float]:
    """Where a parabola (highest power first, of x minus its mean) is lowest within the sizes tried, and its value."""
    curvature, slope, level = (float(value) for value in coefficients)
    low, high = float(x.min() - x.mean()), float(x.max() - x.mean())
    candidates = [low, high]
    if curvature > 0.0:
        candidates.append(min(max(-slope / (2.0 * curvature), low), high))
    best = min(candidates, key=lambda place: curvature * place * place + slope * place)
    return best + float(x.mean()), curvature * best * best + slope * best + level


def _joint_exponent(flops: Array, sizes: Array, errors: Array) -> float | None:
    """Beta / (alpha + beta) of E + A N^-alpha + B D^-beta at C = 6 N D, the exponent of the best size."""
    tokens = flops / (FLOPS_A_PARAMETER_AND_TOKEN * sizes)
    joint = fit("chinchilla", {"N": sizes, "D": tokens}, errors, loss="log_ls")
    if joint.status not in IDENTIFIED:
        return None
    return joint.theta["beta"] / (joint.theta["alpha"] + joint.theta["beta"])


def _notes(valleys: Sequence[Valley]) -> list[Note]:
    outside = [valley for valley in valleys if not valley.inside]
    if not outside:
        return []
    budgets = ", ".join(f"{valley.flops:.3g}" for valley in outside)
    return [Note("valley_at_edge", f"At {budgets} FLOPs the best size lies at the edge of the sizes tried.")]
