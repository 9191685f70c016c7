"""The posterior of one curve, and what it predicts: laws averaged by their evidence, never one law believed.

Suffixes of arrays: Q questions, G laws, J pairs of misfit and noise, K components of a mixture, D draws.
"""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from analysis.forecasting.evidence import SCALES, Evidence, whitened
from analysis.forecasting.law_grid import SHAPE, Array
from analysis.forecasting.mixture import Mixture
from analysis.forecasting.prior import AXES, MISFITS, NOISES, Prior

KEPT_SHARE = 1e-3
"""Components that weigh less than this share of the heaviest are left out. Measured: scores do not change."""


class Posterior:
    """One curve's evidence under a prior."""

    def __init__(self, evidence: Evidence, prior: Prior) -> None:
        self.evidence, self.prior = evidence, prior

    @cached_property
    def weight_GJ(self) -> Array:
        """Posterior weights, which sum to 1."""
        joint_GJ = self.evidence.log_likelihood_GJ + self.prior.log_law_G[:, None] + self.prior.log_scale_J
        weight_GJ = np.exp(joint_GJ - joint_GJ.max())
        normalised: Array = weight_GJ / weight_GJ.sum()
        return normalised

    def marginals(self) -> dict[str, Array]:
        """The posterior weights along each axis of the prior."""
        law = self.weight_GJ.sum(1).reshape(SHAPE)
        scale = self.weight_GJ.sum(0).reshape(len(MISFITS), len(NOISES))
        sums = law.sum((1, 2)), law.sum((0, 2)), law.sum((0, 1)), scale.sum(1), scale.sum(0)
        return dict(zip(AXES, sums, strict=True))

    def predict(self, flops_Q: Array, *, new_run: bool) -> Mixture:
        """The log error at `flops_Q` (Q,): of one new run with its noise, or of the curve alone."""
        weights, means, variances = [], [], []
        for j, laws in self._kept():
            noise = SCALES[j][1]
            mean_QG, lever_QG, walk_QQ = self._path(j, laws, np.log(flops_Q) - self.evidence.origin)
            variance_QG = np.diag(walk_QQ)[:, None] + lever_QG**2 + 1e-12
            weights.append(self.weight_GJ[laws, j])
            means.append(mean_QG)
            variances.append(variance_QG + (noise**2 if new_run else 0.0))
        weight_K = np.concatenate(weights)
        sd_QK = np.sqrt(np.concatenate(variances, axis=1))
        return Mixture(weight_K / weight_K.sum(), np.concatenate(means, axis=1), sd_QK)

    def draw(self, flops_Q: Array, draws: int, generator: np.random.Generator) -> Array:
        """Whole curves (D, Q) of log errors, drawn from the posterior, without a run's noise."""
        x_Q = np.log(flops_Q) - self.evidence.origin
        kept = self._kept()
        weight_K = np.concatenate([self.weight_GJ[laws, j] for j, laws in kept])
        counts_K = generator.multinomial(draws, weight_K / weight_K.sum())
        curves, start = [], 0
        for j, laws in kept:
            counts = counts_K[start : start + len(laws)]
            start += len(laws)
            drawn = np.flatnonzero(counts)
            if not len(drawn):
                continue
            mean_QG, lever_QG, walk_QQ = self._path(j, laws[drawn], x_Q)
            which = np.repeat(np.arange(len(drawn)), counts[drawn])
            size = len(which)
            root_QQ = _root(walk_QQ)
            wander_QD = root_QQ @ generator.standard_normal((len(x_Q), size))
            curves.append((mean_QG[:, which] + wander_QD + lever_QG[:, which] * generator.standard_normal(size)).T)
        return np.concatenate(curves)

    def _kept(self) -> list[tuple[int, NDArray[np.int64]]]:
        kept_GJ = self.weight_GJ > KEPT_SHARE * self.weight_GJ.max()
        return [(j, np.flatnonzero(kept_GJ[:, j])) for j in range(len(SCALES)) if kept_GJ[:, j].any()]

    def _path(self, j: int, laws: NDArray[np.int64], x_Q: Array) -> tuple[Array, Array, Array]:
        """Mean (Q, G) of the curve, standard deviation by the level (Q, G), covariance (Q, Q) by the misfit."""
        evidence, misfit = self.evidence, SCALES[j][0]
        solved = evidence.solved(j, laws)
        across_NQ = whitened(solved.factor_NN, misfit**2 * evidence.misfit_across(x_Q))
        value_QG, slope_QG = evidence.laws.chosen(laws).log_errors(evidence.level_G[laws] + solved.shift_G, x_Q)
        mean_QG = value_QG + across_NQ.T @ solved.remainder_NG
        lever_QG = (slope_QG - across_NQ.T @ solved.slope_NG) * np.sqrt(solved.level_variance_G)
        walk_QQ = misfit**2 * evidence.misfit_among(x_Q) - across_NQ.T @ across_NQ
        return mean_QG, lever_QG, walk_QQ


def _root(covariance_QQ: Array) -> Array:
    """A root of a covariance that may be singular."""
    values_Q, vectors_QQ = np.linalg.eigh(covariance_QQ)
    root: Array = vectors_QQ * np.sqrt(np.maximum(values_Q, 0.0))
    return root
