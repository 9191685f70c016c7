"""What the runs of one curve say about every law of the grid, every misfit and every noise, before any prior.

The log error of a run is a law's, plus a misfit, plus noise. The misfit is an integrated random walk in log FLOPs that
starts at the smallest run: no law is exact, the slope of a real curve drifts, and what a law misses grows with distance
to the power 1.5. The noise is that of a run (order, initialisation) plus that of counting errors. The level of a law
(log A) is integrated out around its best value, to first order.

Suffixes of arrays: N runs, Q questions, G laws, J pairs of misfit and noise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.forecasting.law_grid import Array, laws_below
from analysis.forecasting.prior import MISFITS, NOISES

SCALES = tuple((float(misfit), float(noise)) for misfit in MISFITS for noise in NOISES)
"""The J pairs of misfit and noise."""
LEVEL_SD = 3.0
"""Before any run is seen, a law's log error at the largest run is known to this (assumption: says nothing)."""
TRUNK_SHARE = 0.5
"""The share of a run's variance that all budgets of one seed have in common, being cut from one trunk (assumption)."""
NEIGHBOUR = 1.9
"""Checkpoints of one training whose FLOPs lie within this factor are taken for cut from one trunk.

Measured on 36 curves of image error rates with all their checkpoints (some 60 a curve), at 2, 4 and 10 times the
largest: taken for independent, 90 % intervals held .81, .72 and .92, with interval scores of .20, .34 and .50; taken
together .86, .75 and .94, with .15, .25 and .51.
"""
AT_CHANCE_VARIANCE = 0.15**2
"""Added at or above chance: how far a rate lies above 1 says how often a model inserts, not what it learnt."""
MOST_POINTS = 48
"""More runs than this are averaged in bins of equal width in log FLOPs."""
_LEVEL_STEPS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveRuns:
    """The runs of one curve, smallest first: FLOPs (N,), error rates as shares of chance (N,), the variance of each log
    error that comes of counting (N,), and the trunk that a run was cut from (N,), where the table tells (else None).
    """

    flops_N: Array
    errors_N: Array
    counting_variance_N: Array
    trunks_N: NDArray[np.int64] | None = None

    def as_dict(self) -> dict[str, list[float] | None]:
        """The runs as JSON holds them."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: None if array is None else array.tolist() for name, array in values.items()}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "CurveRuns":
        """The reverse of `as_dict`."""
        arrays: Any = {name: None if values is None else np.array(values) for name, values in stored.items()}
        return cls(**arrays)


class Evidence:
    """Log likelihoods (G, J) of a curve's runs, and what a prediction needs, for all laws of the grid or `cells`."""

    def __init__(self, runs: CurveRuns, cells: NDArray[np.int64] | None = None) -> None:
        self.origin = float(np.log(runs.flops_N[-1]))
        self._points = _binned(runs)
        self.x_N = np.log(self._points.flops_N) - self.origin
        every = laws_below(float(self._points.errors_N.min()))
        self.laws = every if cells is None else every.chosen(cells)
        self.level_G = self._best_level()
        value_NG, self._slope_NG = self.laws.log_errors(self.level_G, self.x_N)
        self._residual_NG = np.log(self._points.errors_N)[:, None] - value_NG
        _, slope_1G = self.laws.log_errors(self.level_G, np.zeros(1))
        self._level_precision_G = (slope_1G[0] / LEVEL_SD) ** 2

    @cached_property
    def log_likelihood_GJ(self) -> Array:
        """The log likelihood of every law with every pair of misfit and noise."""
        return np.stack([self.solved(j).log_likelihood_G for j in range(len(SCALES))], axis=1)

    def solved(self, j: int, laws: NDArray[np.int64] | None = None) -> "_Solved":
        """The `j`-th pair of misfit and noise, with all laws or those chosen: residuals whitened, levels integrated."""
        chosen = slice(None) if laws is None else laws
        factor_NN = np.asarray(np.linalg.cholesky(self._covariance(*SCALES[j])), dtype=np.float64)
        residual_NG = whitened(factor_NN, self._residual_NG[:, chosen])
        slope_NG = whitened(factor_NN, self._slope_NG[:, chosen])
        prior_G = self._level_precision_G[chosen]
        precision_G = (slope_NG**2).sum(0) + prior_G
        shift_G = (slope_NG * residual_NG).sum(0) / precision_G
        square_G = (residual_NG**2).sum(0) - shift_G**2 * precision_G
        log_likelihood_G = 0.5 * (np.log(prior_G / precision_G) - square_G) - np.log(np.diag(factor_NN)).sum()
        return _Solved(
            factor_NN=factor_NN,
            remainder_NG=residual_NG - slope_NG * shift_G,
            slope_NG=slope_NG,
            log_likelihood_G=log_likelihood_G + self._points.within_bins(SCALES[j][1]),
            shift_G=shift_G,
            level_variance_G=1.0 / precision_G,
        )

    def misfit_across(self, x_Q: Array) -> Array:
        """The covariance (N, Q) of a misfit of size 1 between the runs and `x_Q`, log FLOPs over the largest."""
        return _walk(self.x_N - self.x_N[0], np.maximum(x_Q - self.x_N[0], 0.0))

    def misfit_among(self, x_Q: Array) -> Array:
        """The covariance (Q, Q) of a misfit of size 1."""
        place_Q = np.maximum(x_Q - self.x_N[0], 0.0)
        return _walk(place_Q, place_Q)

    def _covariance(self, misfit: float, noise: float) -> Array:
        points = self._points
        walk_NN = _walk(self.x_N - self.x_N[0], self.x_N - self.x_N[0])
        own_N = noise**2 * (1.0 - points.share) / points.runs_N
        full: Array = misfit**2 * walk_NN + noise**2 * points.share * points.same_NN
        return full + np.diag(own_N + points.known_variance_N)

    def _best_level(self) -> Array:
        """Each law's level (G,) by least squares of log errors: Gauss and Newton's steps, vectorised over laws."""
        points = self._points
        weight_N1 = (1.0 / (points.known_variance_N + float(np.median(NOISES)) ** 2 / points.runs_N))[:, None]
        level_G = self.laws.level_at(float(np.log(points.errors_N[-1])))
        for _ in range(_LEVEL_STEPS):
            value_NG, slope_NG = self.laws.log_errors(level_G, self.x_N)
            pull_G = (weight_N1 * slope_NG * (np.log(points.errors_N)[:, None] - value_NG)).sum(0)
            level_G = level_G + np.clip(pull_G / np.maximum((weight_N1 * slope_NG**2).sum(0), 1e-9), -2.0, 2.0)
        return level_G


@dataclass(frozen=True, slots=True, kw_only=True)
class _Solved:
    """A misfit and noise: arrays whitened by `factor_NN`; the level, `shift_G` off its best, of `level_variance_G`."""

    factor_NN: Array
    remainder_NG: Array
    slope_NG: Array
    log_likelihood_G: Array
    shift_G: Array
    level_variance_G: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class _Points:
    """Runs, or bins of runs: means of log FLOPs and of log errors, how many runs each holds, what scatters inside.

    `share` of a run's variance is common to those that `same_NN` marks.
    """

    flops_N: Array
    errors_N: Array
    known_variance_N: Array
    runs_N: Array
    same_NN: Array
    share: float
    squares_within: float = 0.0

    def within_bins(self, noise: float) -> float:
        """The log likelihood of what scatters inside the bins, for a run's noise."""
        inside = float((self.runs_N - 1.0).sum())
        own = noise**2 * (1.0 - self.share)
        return -0.5 * inside * float(np.log(own)) - 0.5 * self.squares_within / own


def _binned(runs: CurveRuns) -> _Points:
    log_errors_N = np.log(runs.errors_N)
    share = 0.0 if runs.trunks_N is None else TRUNK_SHARE
    known_N = runs.counting_variance_N + np.where(runs.errors_N >= 1.0, AT_CHANCE_VARIANCE, 0.0)
    if len(runs.flops_N) <= MOST_POINTS:
        trunks_N = np.arange(len(runs.flops_N)) if runs.trunks_N is None else runs.trunks_N
        return _Points(
            flops_N=runs.flops_N,
            errors_N=runs.errors_N,
            known_variance_N=known_N,
            runs_N=np.ones(len(runs.flops_N)),
            same_NN=(trunks_N[:, None] == trunks_N).astype(float),
            share=share,
        )
    log_flops_N = np.log(runs.flops_N)
    edges = np.linspace(log_flops_N[0], log_flops_N[-1], MOST_POINTS + 1)[1:-1]
    bins_N = np.searchsorted(edges, log_flops_N)
    if runs.trunks_N is not None and np.count_nonzero(np.diff(runs.trunks_N)) < MOST_POINTS:
        bins_N = np.concatenate([[0], np.cumsum(np.diff(runs.trunks_N) != 0)])  # neighbours lie side by side
    _, bins_N = np.unique(bins_N, return_inverse=True)
    count = np.bincount(bins_N).astype(float)

    def mean(values_N: Array) -> Array:
        averaged: Array = np.bincount(bins_N, weights=values_N) / count
        return averaged

    log_mean = mean(log_errors_N)
    return _Points(
        flops_N=np.exp(mean(log_flops_N)),
        errors_N=np.exp(log_mean),
        known_variance_N=mean(known_N) / count,
        runs_N=count,
        same_NN=np.eye(len(count)),
        share=share,
        squares_within=float(((log_errors_N - log_mean[bins_N]) ** 2).sum()),
    )


def neighbours(flops_N: Array) -> NDArray[np.int64]:
    """A number (N,) for each group of neighbours, from the largest FLOPs down."""
    groups, top, group = [], flops_N[-1], 0
    for flops in flops_N[::-1]:
        if flops * NEIGHBOUR < top:
            top, group = flops, group + 1
        groups.append(group)
    return np.array(groups[::-1])


def whitened(factor_NN: Array, values_NX: Array) -> Array:
    """`values_NX` (N, any) with the covariance, whose Cholesky factor is given, divided out."""
    return np.asarray(np.linalg.solve(factor_NN, values_NX), dtype=np.float64)


def _walk(x_N: Array, x_Q: Array) -> Array:
    """Covariance (N, Q) of an integrated random walk that starts at 0 with slope 0, at two sets of places from 0 on."""
    earlier = np.minimum(x_N[:, None], x_Q[None, :])
    later = np.maximum(x_N[:, None], x_Q[None, :])
    walk: Array = earlier**2 * (3.0 * later - earlier) / 6.0
    return walk
