"""The next runs: those that shrink the interval of an answer most for a limit of FLOPs.

For a law linearised at a parameter vector, a run of C FLOPs adds g g' / s^2 to the information, g being the gradient
of the log error at C; the variance of the answer at the target follows. The variance is averaged (in logarithms) over
refits of the runs so far, because a design that is best for one guess of the floor can be worthless for another. Runs
are added one by one, each time the run with the best gain for its price, at several powers of the price. Then single
runs are exchanged while that helps. The power that ends with the shortest interval wins.

What a limit on runs costs, measured for 60 % of an even grid's FLOPs (16 runs; median error left over the grid's): 96
runs 0.96, 24 runs 1.13, 24 runs in two rounds, the second proposed after the first, 1.08. With the truth known and
fractions of runs allowed, no design does better than 0.93 and 1.01: few runs cannot replace a grid's FLOPs.
"""

import math
from dataclasses import dataclass

import numpy as np

from analysis.curves.curves import Curve
from analysis.curves.seed_noise import RunNoise
from analysis.fitting.bootstrap import wild_refits
from analysis.fitting.fit import Fit
from analysis.fitting.intervals import interval
from analysis.fitting.laws import Array
from analysis.fitting.student_t import t_quantile
from scaling.errors import InputError
from scaling.scoring.interval import LEVEL

CANDIDATES = 24
"""Budgets among which the next runs are chosen, evenly in logarithms from the smallest budget run to the target."""
MOST_SPENT = 1e6
"""A limit of more than this many times the target is taken for a slip of the exponent."""
MOST_RUNS = 96
"""Small runs are cheap in FLOPs, and many of them save a large run. Where each run has a price of its own, ask for
fewer.
"""
DRAWS = 24
"""Refits over which the variance of the answer is averaged (assumption)."""
PRICE_POWERS = (0.0, 0.15, 0.3, 0.5, 0.75, 1.0)
"""Powers of the price that gains are divided by: 0 takes the most informative run whatever it costs, 1 the cheapest
information.
"""
PRIOR = 1e-6
"""A direction of the parameters may be unknown without runs. This much information, in units of a run, keeps its
variance finite.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The next runs of `curve`: how many at each budget, what they cost, and the interval at `target_flops` before
    and (as expected) after. `even_interval` is what the same FLOPs on an even grid of budgets would give.
    """

    curve: Curve
    target_flops: float
    runs: dict[float, int]
    flops: float
    interval_before: tuple[float, float]
    interval_after: tuple[float, float]
    even_interval: tuple[float, float]

    def as_dict(self) -> dict[str, object]:
        """As `design --json` prints it."""
        return {
            "strategy": self.curve.strategy,
            "encoder": self.curve.encoder,
            "llm": self.curve.llm,
            "target_flops": self.target_flops,
            "runs": [{"budget_flops": budget, "seeds": count} for budget, count in self.runs.items()],
            "flops": self.flops,
            "level": LEVEL,
            "interval_before": self.interval_before,
            "interval_after_expected": self.interval_after,
            "interval_after_even_grid_expected": self.even_interval,
        }


def propose(curve: Curve, target_flops: float, spend_flops: float, most_runs: int = MOST_RUNS) -> Proposal:
    """Runs for at most `spend_flops` that say most about the curve at `target_flops`.

    Raises InputError where the curve has no fit with a degree of freedom, or the limit does not pay the smallest
    budget.
    """
    fitted = curve.fit
    if fitted is None or fitted.dof < 1:
        raise InputError(
            f"design: {curve.label} has too few budgets to be fitted; run an even grid of at least 4 first"
        )
    smallest = curve.domain["C"][0]
    if spend_flops < smallest:
        raise InputError(f"design: {spend_flops:.4g} FLOPs do not pay one run of the smallest budget, {smallest:.4g}")
    if spend_flops > MOST_SPENT * target_flops:
        most = MOST_SPENT * target_flops
        raise InputError(
            f"design: {spend_flops:.4g} FLOPs to spend; expected at most {most:.4g}, a million such targets"
        )
    budgets = np.geomspace(smallest, min(spend_flops, target_flops), CANDIDATES)
    information = Information.of(fitted, target_flops, budgets, curve.noise)
    counts = best_counts(information, budgets, spend_flops, most_runs)
    even = even_counts(budgets, spend_flops)
    low, high = (float(end[0]) for end in interval(fitted, {"C": [target_flops]}))
    middle = curve.cer(target_flops)
    return Proposal(
        curve=curve,
        target_flops=target_flops,
        runs={float(budgets[i]): int(counts[i]) for i in np.flatnonzero(counts)},
        flops=float(counts @ budgets),
        interval_before=(low, high),
        interval_after=_shrunk(low, middle, high, information.shrinkage(counts, fitted.dof)),
        even_interval=_shrunk(low, middle, high, information.shrinkage(even, fitted.dof)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Information:
    """For D draws of m parameters: the information of the runs so far (D, m, m), the gradient at the target (D, m), and
    the gradient at each of k budgets (D, k, m).
    """

    known_DMM: Array
    target_DM: Array
    runs_DKM: Array

    @staticmethod
    def of(fitted: Fit, target_flops: float, budgets: Array, noise: RunNoise | None = None) -> "Information":
        """Information of the fit's points, per run, over refits of a wild bootstrap and the fit itself."""
        weight = np.ones_like(budgets) if noise is None else noise.weight(fitted.predict({"C": budgets}))
        draws = np.vstack([fitted.parameters[None, :], wild_refits(fitted, DRAWS)])
        points = _gradients(fitted, draws, fitted.columns["C"]) * np.sqrt(fitted.weights)[None, :, None]
        information = np.einsum("dni,dnj->dij", points, points)
        scale = np.einsum("dii->d", information)[:, None, None] / information.shape[1]
        return Information(
            known_DMM=information + PRIOR * scale * np.eye(information.shape[1]),
            target_DM=_gradients(fitted, draws, np.array([target_flops]))[:, 0, :],
            runs_DKM=_gradients(fitted, draws, budgets) * np.sqrt(weight)[None, :, None],
        )

    def log_variance(self, counts_K: Array) -> float:
        """The mean log variance of the answer after `counts_K` more runs at each budget."""
        added = np.einsum("k,dki,dkj->dij", counts_K.astype(float), self.runs_DKM, self.runs_DKM)
        solved = np.linalg.solve(self.known_DMM + added, self.target_DM[:, :, None])[:, :, 0]
        return float(np.mean(np.log(np.maximum((self.target_DM * solved).sum(1), 1e-300))))

    def shrinkage(self, counts_K: Array, dof: int) -> float:
        """The expected half-width after the runs over that before, with their degrees of freedom."""
        none = np.zeros_like(counts_K)
        ratio = math.exp(0.5 * (self.log_variance(counts_K) - self.log_variance(none)))
        dof_after = dof + int(np.count_nonzero(counts_K))
        return ratio * t_quantile(0.5 + LEVEL / 2.0, dof_after) / t_quantile(0.5 + LEVEL / 2.0, dof)


def best_counts(information: Information, budgets: Array, spend_flops: float, most_runs: int) -> Array:
    """How many runs at each budget (k,), at most `spend_flops` together."""
    designs = [_greedy(information, budgets, spend_flops, most_runs, power) for power in PRICE_POWERS]
    return min(
        (_exchanged(information, budgets, spend_flops, counts) for counts in designs), key=information.log_variance
    )


def even_counts(budgets: Array, spend_flops: float) -> Array:
    """An even grid for the same FLOPs: as many of the smaller budgets as one run of each allows, then more seeds of all
    of them.
    """
    reach = int(np.searchsorted(np.cumsum(budgets), spend_flops * (1.0 + 1e-12), side="right"))
    counts = np.zeros(len(budgets), dtype=int)
    counts[: max(reach, 1)] = 1
    return counts * max(1, int(spend_flops // max(float(counts @ budgets), 1e-300)))


def _greedy(information: Information, budgets: Array, spend_flops: float, most_runs: int, price_power: float) -> Array:
    counts = np.zeros(len(budgets), dtype=int)
    now = information.log_variance(counts)
    for _ in range(most_runs):
        unspent = spend_flops - float(counts @ budgets)
        best, best_score, best_value = None, 0.0, now
        for k in np.flatnonzero(budgets <= unspent * (1.0 + 1e-12)):
            counts[k] += 1
            value = information.log_variance(counts)
            counts[k] -= 1
            score = (now - value) / float(budgets[k] / spend_flops) ** price_power
            if score > best_score:
                best, best_score, best_value = int(k), score, value
        if best is None:
            break
        counts[best] += 1
        now = best_value
    return counts


def _exchanged(information: Information, budgets: Array, spend_flops: float, counts: Array) -> Array:
    """Move single runs to other budgets while that shortens the interval and stays within the limit."""
    counts, now = counts.copy(), information.log_variance(counts)
    improved = True
    while improved:
        improved = False
        for i in np.flatnonzero(counts):
            for k in range(len(budgets)):
                trial = counts.copy()
                trial[i] -= 1
                trial[k] += 1
                if counts[i] < 1 or k == i or float(trial @ budgets) > spend_flops * (1.0 + 1e-12):
                    continue
                value = information.log_variance(trial)
                if value < now - 1e-6:
                    counts, now, improved = trial, value, True
    return counts


def _gradients(fitted: Fit, parameters_DM: Array, flops: Array) -> Array:
    """Gradients (d, k, m) of the log error. Parameters on a bound keep their gradients, because the floor may rise
    again.
    """
    z = fitted.logs({"C": flops})
    value, jacobian = fitted.law.evaluate(z, parameters_DM)
    gradients: Array = jacobian / np.maximum(value, 1e-30)[:, :, None]
    return gradients


def _shrunk(low: float, middle: float, high: float, factor: float) -> tuple[float, float]:
    log = math.log(middle)
    return (
        math.exp(log + factor * (math.log(max(low, 1e-12)) - log)),
        math.exp(log + factor * (math.log(high) - log)),
    )
