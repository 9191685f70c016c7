"""Noise that points of a cluster share: of a trunk of training, of a stage common to strategies, of a seed.

The model: a residual is a random effect of its cluster (variance lambda s^2) plus noise of its own (s^2). Given lambda,
whitening each cluster restores independence, so the fit and the profile need no change. A robust loss is not whitened:
its intervals are widened by what the clusters add to the variance of the value in question. lambda comes from the
restricted likelihood of the linearised fit. With few clusters the maximum of this likelihood is zero too often by
chance, which would make intervals short; so its mean over rho = lambda / (1 + lambda), with a uniform prior, is taken.
The degrees of freedom of the F threshold are Satterthwaite's: few where the value rests on the clusters' effects, many
where it rests on differences within clusters.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.fitting.laws import Array

RHO_GRID = np.linspace(0.0, 0.98, 50)
"""The values of rho over which the mean is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedNoise:
    """The noise of points in clusters: `index` (n,) tells whose cluster each is, `ratio` is the common variance over
    a point's own, `whitener` (n, n) makes weighted residuals independent. `ratio_dof` are the degrees of freedom of a
    ratio known from elsewhere.
    """

    index: npt.NDArray[np.intp]
    ratio: float
    whitener: Array
    ratio_dof: int | None

    @staticmethod
    def of(labels: Sequence[Hashable], ratio: float, ratio_dof: int | None = None) -> "SharedNoise":
        """The noise of points with these cluster labels."""
        index = cluster_index(labels)
        return SharedNoise(index=index, ratio=ratio, whitener=_whitener(index, ratio), ratio_dof=ratio_dof)

    def dof(self, jacobian_NM: Array, gradient_M: Array) -> int:
        """Satterthwaite's degrees of freedom for a quantity with this gradient, at least 1."""
        count = int(self.index.max()) + 1
        size = len(self.index) / count
        ranks = self._ranks(jacobian_NM)
        between, within = max(count - ranks[0], 1), max(len(self.index) - count - ranks[1], 1)
        if self.ratio_dof is not None:
            between, within = self.ratio_dof, max(len(self.index) - jacobian_NM.shape[1], 1)
        total = self._variance(jacobian_NM, gradient_M, self.ratio)
        step = 1e-4 * (1.0 + self.ratio)
        common = (self._variance(jacobian_NM, gradient_M, self.ratio + step) - total) / step
        part_between = common * (self.ratio + 1.0 / size)
        part_within = total - part_between
        return max(1, int(total**2 / (part_between**2 / between + part_within**2 / within)))

    def inflation(self, jacobian_NM: Array, gradient_M: Array, efficiency: float) -> float:
        """The variance of an unweighted M-estimate of a quantity over what it would be without clusters.

        Its error is a sum of scores, and scores of one cluster correlate. `efficiency` is that of the estimate against
        least squares: a cluster's effect moves both alike, a point's own noise moves them differently.
        """
        solved = np.linalg.pinv(jacobian_NM.T @ jacobian_NM) @ gradient_M
        influence = jacobian_NM @ solved
        own = float(influence @ influence)
        common = float((np.bincount(self.index, weights=influence) ** 2).sum())
        shared = self.ratio / (1.0 + self.ratio)
        return max(1.0 + shared * efficiency * (common / own - 1.0), 1.0 - shared) if own > 0.0 else 1.0

    def _ranks(self, jacobian_NM: Array) -> tuple[int, int]:
        """Parameters that rest on cluster means, and those that rest on differences within clusters."""
        means = _cluster_means(jacobian_NM, self.index)
        inner = jacobian_NM - means[self.index]
        outer = int(np.linalg.matrix_rank(means, tol=1e-6 * float(np.linalg.norm(jacobian_NM))))
        return outer, int(np.linalg.matrix_rank(inner, tol=1e-6 * float(np.linalg.norm(jacobian_NM))))

    def _variance(self, jacobian_NM: Array, gradient_M: Array, ratio: float) -> float:
        white = _whitener(self.index, ratio) @ jacobian_NM
        return float(gradient_M @ np.linalg.pinv(white.T @ white) @ gradient_M)


def shared_ratio(residual_N: Array, jacobian_NM: Array, labels: Sequence[Hashable]) -> float:
    """Estimate the ratio from weighted residuals and the weighted Jacobian of a fit."""
    index = cluster_index(labels)
    ratios = RHO_GRID / (1.0 - RHO_GRID)
    likelihood = np.array([_restricted_likelihood(residual_N, jacobian_NM, index, ratio) for ratio in ratios])
    weight: Array = np.exp(likelihood - float(np.max(likelihood)))
    rho = float((weight * RHO_GRID).sum() / weight.sum())
    return rho / (1.0 - rho)


def cluster_index(labels: Sequence[Hashable]) -> npt.NDArray[np.intp]:
    order = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    return np.array([order[label] for label in labels], dtype=np.intp)


def _restricted_likelihood(residual: Array, jacobian: Array, index: npt.NDArray[np.intp], ratio: float) -> float:
    whitener = _whitener(index, ratio)
    white = whitener @ jacobian
    remainder = _remainder(whitener @ residual, white)
    dof = len(residual) - jacobian.shape[1]
    _, information = np.linalg.slogdet(white.T @ white + 1e-12 * np.eye(white.shape[1]))
    common = float(np.log1p(ratio * np.bincount(index)).sum())
    misfit = max(float(remainder @ remainder), 1e-300)
    return float(-0.5 * (common + float(information) + dof * math.log(misfit)))


def _remainder(residual: Array, jacobian: Array) -> Array:
    solution, *_ = np.linalg.lstsq(jacobian, residual, rcond=None)
    remainder: Array = residual - jacobian @ solution
    return remainder


def _whitener(index: npt.NDArray[np.intp], ratio: float) -> Array:
    """(I + ratio Z Z')^(-1/2): a cluster of size k keeps 1 / sqrt(1 + ratio k) of its mean."""
    same = (index[:, None] == index[None, :]).astype(float)
    sizes = same.sum(1)
    whitener: Array = np.eye(len(index)) - same * ((1.0 - 1.0 / np.sqrt(1.0 + ratio * sizes)) / sizes)[:, None]
    return whitener


def _cluster_means(values: Array, index: npt.NDArray[np.intp]) -> Array:
    sums = np.zeros((int(index.max()) + 1, values.shape[1]))
    np.add.at(sums, index, values)
    means: Array = sums / np.bincount(index)[:, None]
    return means
