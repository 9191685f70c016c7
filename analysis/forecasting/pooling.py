"""Partial pooling: the prior of each curve of a study is moved towards what the study's other curves say.

How far the curves of a study agree is for the study to say. On each axis of the grid their places scatter around a
common centre; centre and spread are unknown, and one of the spreads is so wide that nothing is shared. Every pair of
centre and spread is weighed by how well it explains the other curves, and the prior of a curve is the average over all
pairs. A curve never learns from itself.

Suffixes of arrays: N curves, A places of an axis, H pairs of centre and spread.
"""

from collections.abc import Sequence

import numpy as np

from analysis.forecasting.evidence import Evidence
from analysis.forecasting.law_grid import Array
from analysis.forecasting.posterior import Posterior
from analysis.forecasting.prior import AXES, Prior

SPREADS = (1 / 12, 1 / 6, 1 / 3)
"""Standard deviations of the places of a study's curves, as shares of the axis."""
SHARED = 0.6
"""The weight of "the curves of a study are alike" before any is seen (assumption)."""


def pooled_priors(evidences: Sequence[Evidence], base: Prior) -> list[Prior]:
    """The prior of each curve of a study."""
    if len(evidences) < 2:
        return [base] * len(evidences)
    marginals = [Posterior(evidence, base).marginals() for evidence in evidences]
    pooled = {axis: _pooled(np.array([each[axis] for each in marginals]), getattr(base, axis)) for axis in AXES}
    return [Prior(**{axis: pooled[axis][n] for axis in AXES}) for n in range(len(evidences))]


def _pooled(marginal_NA: Array, base_A: Array) -> Array:
    """The prior (N, A) of each curve on one axis, from the posteriors (N, A) of all under the base."""
    likelihood_NA = np.divide(marginal_NA, base_A, out=np.zeros_like(marginal_NA), where=base_A > 0.0)
    prior_HA, weight_H = _family(base_A)
    log_evidence_NH = np.log(likelihood_NA @ prior_HA.T + 1e-300)
    log_weight_NH = np.log(weight_H) + log_evidence_NH.sum(0) - log_evidence_NH
    weight_NH = np.exp(log_weight_NH - log_weight_NH.max(1, keepdims=True))
    pooled_NA: Array = (weight_NH / weight_NH.sum(1, keepdims=True)) @ prior_HA
    return pooled_NA


def _family(base_A: Array) -> tuple[Array, Array]:
    """The base and priors (H, A) around every centre with every spread, and their weights (H,).

    The weighted average of the priors of one spread is the base: before any curve is seen, nothing changes.
    """
    place_A = np.arange(len(base_A))
    priors, weights = [base_A[None, :]], [np.array([1.0 - SHARED])]
    for spread in SPREADS:
        kernel_HA = np.exp(-0.5 * ((place_A - place_A[:, None]) / (spread * len(base_A))) ** 2)
        joint_HA = base_A * kernel_HA / kernel_HA.sum(0)
        possible_HA = joint_HA[joint_HA.sum(1) > 0.0]
        priors.append(possible_HA / possible_HA.sum(1, keepdims=True))
        weights.append(possible_HA.sum(1) * SHARED / len(SPREADS))
    return np.concatenate(priors), np.concatenate(weights)
