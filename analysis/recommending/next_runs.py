"""The next runs: those that shrink the interval of an answer most for a limit of FLOPs.

Whole curves are drawn from the posterior. They say how an error at any budget moves together with the error at the
target: through laws, through the misfit, through the level. Conditioning a normal distribution with their covariance on
runs with noise gives the variance that is left at the target after a design. Runs are added one by one, each time the
run with the best gain for its price, at several powers of the price. Then single runs are exchanged while that helps.
The power that ends with the shortest interval wins.
"""

import math
from dataclasses import dataclass

import numpy as np

from analysis.curves.curves import Curve
from analysis.fitting.laws import Array
from analysis.forecasting.outlook import Outlook
from analysis.forecasting.predictive import LEAST_COUNT
from analysis.notes import as_text
from scaling.errors import InputError
from scaling.scoring.interval import LEVEL

CANDIDATES = 24
"""Budgets among which the next runs are chosen, evenly in logarithms from the smallest budget run to the target."""
MOST_SPENT = 1e6
"""A limit of more than this many times the target is taken for a slip of the exponent."""
MOST_RUNS = 96
"""Small runs are cheap in FLOPs, and many save a large one. Where each run has its own price, ask for fewer."""
DRAWS = 2000
"""Curves drawn: the standard deviation at a budget is then known to 2 %."""
PRICE_POWERS = (0.0, 0.15, 0.3, 0.5, 0.75, 1.0)
"""Powers of the price that gains are divided by: from the most informative run to the cheapest information."""


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
            **self.curve.names,
            "target_flops": self.target_flops,
            "runs": [{"budget_flops": budget, "seeds": count} for budget, count in self.runs.items()],
            "flops": self.flops,
            "level": LEVEL,
            "interval_before": self.interval_before,
            "interval_after_expected": self.interval_after,
            "interval_after_even_grid_expected": self.even_interval,
            "warnings": as_text(self.curve.warnings),
        }


def propose(curve: Curve, target_flops: float, spend_flops: float, most_runs: int = MOST_RUNS) -> Proposal:
    """Runs for at most `spend_flops` that say most about the curve at `target_flops`.

    Raises InputError where the curve has one budget, or a law asked for by name, and where the limit does not pay the
    smallest budget.
    """
    if curve.outlook is None and curve.fit is not None:
        what = "a design needs the answer that averages laws; fit without --law"
        raise InputError(f"design: {curve.label} was fitted with the law {curve.fit.law.name}; {what}")
    if curve.outlook is None:
        raise InputError(f"design: {curve.label} has too few budgets; run an even grid of at least 4 first")
    smallest = curve.domain["C"][0]
    if spend_flops < smallest:
        raise InputError(f"design: {spend_flops:.4g} FLOPs do not pay one run of the smallest budget, {smallest:.4g}")
    if spend_flops > MOST_SPENT * target_flops:
        most = MOST_SPENT * target_flops
        raise InputError(
            f"design: {spend_flops:.4g} FLOPs to spend; expected at most {most:.4g}, a million such targets"
        )
    budgets = np.geomspace(smallest, min(spend_flops, target_flops), CANDIDATES)
    information = Information.of(curve.outlook, target_flops, budgets)
    counts = best_counts(information, budgets, spend_flops, most_runs)
    even = even_counts(budgets, spend_flops)
    least = curve.outlook.resolution or 0.0
    low, high = (max(float(end[0]), least) for end in curve.outlook.ends(np.array([target_flops]), LEVEL))
    middle = max(curve.cer(target_flops), least)
    return Proposal(
        curve=curve,
        target_flops=target_flops,
        runs={float(budgets[i]): int(counts[i]) for i in np.flatnonzero(counts)},
        flops=float(counts @ budgets),
        interval_before=(low, high),
        interval_after=_shrunk(low, middle, high, information.shrinkage(counts)),
        even_interval=_shrunk(low, middle, high, information.shrinkage(even)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Information:
    """How the log error of the curve at k budgets moves with that at the target: the covariance (k, k), that with the
    target (k,), the variance at the target, and the variance (k,) of one run around the curve.
    """

    budgets_KK: Array
    target_K: Array
    target: float
    noise_K: Array

    @staticmethod
    def of(outlook: Outlook, target_flops: float, budgets: Array) -> "Information":
        """From curves drawn from the posterior, the same each time."""
        asked = np.append(budgets, target_flops)
        curves_DQ = outlook.predictive.draw(asked, DRAWS, np.random.default_rng(0))
        covariance = np.cov(curves_DQ.T)
        noise = np.full(len(budgets), outlook.predictive.noise() ** 2)
        if outlook.ref_chars is not None:
            noise += 1.0 / np.maximum(outlook.ref_chars * outlook.median(budgets), LEAST_COUNT)
        return Information(
            budgets_KK=covariance[:-1, :-1],
            target_K=covariance[:-1, -1],
            target=float(covariance[-1, -1]),
            noise_K=noise,
        )

    def log_variance(self, counts_K: Array) -> float:
        """The log variance of the answer after `counts_K` more runs at each budget."""
        run = np.flatnonzero(counts_K)
        noisy = self.budgets_KK[np.ix_(run, run)] + np.diag(self.noise_K[run] / counts_K[run])
        known = float(self.target_K[run] @ np.linalg.solve(noisy, self.target_K[run])) if len(run) else 0.0
        return math.log(max(self.target - known, 1e-12 * self.target, 1e-300))

    def shrinkage(self, counts_K: Array) -> float:
        """The expected half-width after the runs over that before."""
        return math.exp(0.5 * (self.log_variance(counts_K) - self.log_variance(np.zeros_like(counts_K))))


def best_counts(information: Information, budgets: Array, spend_flops: float, most_runs: int) -> Array:
    """How many runs at each budget (k,), at most `spend_flops` together."""
    designs = [_greedy(information, budgets, spend_flops, most_runs, power) for power in PRICE_POWERS]
    return min(
        (_exchanged(information, budgets, spend_flops, counts) for counts in designs), key=information.log_variance
    )


def even_counts(budgets: Array, spend_flops: float) -> Array:
    """An even grid for the same FLOPs: a run of as many smaller budgets as they pay, then more seeds of each."""
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


def _shrunk(low: float, middle: float, high: float, factor: float) -> tuple[float, float]:
    log = math.log(middle)
    return (math.exp(log + factor * (math.log(max(low, 1e-12)) - log)), math.exp(log + factor * (math.log(high) - log)))
