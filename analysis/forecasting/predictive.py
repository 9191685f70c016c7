"""The predictive distribution of one curve: laws averaged by their weights, never one law believed.

Suffixes of arrays: N runs, Q questions, G laws, J pairs of misfit and noise, K components of a mixture, D draws.
"""

import numpy as np

from analysis.forecasting.evidence import SCALES, CurveRuns, Evidence, whitened
from analysis.forecasting.law_grid import Array
from analysis.forecasting.mixture import Mixture
from analysis.forecasting.posterior import Components

LEAST_COUNT = 0.5
"""An expected count of errors below this is taken for this: a count that may well be zero has no log."""


class Predictive:
    """What the components of a curve's posterior say of any FLOPs."""

    def __init__(self, runs: CurveRuns, components: Components) -> None:
        cells, law_K = np.unique(components.law_K, return_inverse=True)
        self._evidence, self._count_K = Evidence(runs, cells), components.count_K
        self._members = {int(j): np.flatnonzero(components.scale_K == j) for j in np.unique(components.scale_K)}
        self._solved = {j: self._evidence.solved(j, law_K[members]) for j, members in self._members.items()}
        self._laws_K, self._level_K = self._evidence.laws.chosen(law_K), self._evidence.level_G[law_K]
        for j, members in self._members.items():
            self._level_K[members] += self._solved[j].shift_G

    def predict(self, flops_Q: Array, *, new_run: bool, counted: float | None = None) -> Mixture:
        """The log error at `flops_Q` (Q,): of one new run with its noise, or of the curve alone.

        `counted` is the number of errors that a run at chance would make on the test: a run scatters by its count, too.
        """
        mean_QK, lever_QK, walk_JQQ = self._paths(flops_Q)
        variance_QK = lever_QK**2 + 1e-12
        for j, members in self._members.items():
            variance_QK[:, members] += np.diag(walk_JQQ[j])[:, None] + (SCALES[j][1] ** 2 if new_run else 0.0)
        if new_run and counted is not None:
            variance_QK += 1.0 / np.maximum(counted * np.exp(mean_QK), LEAST_COUNT)
        return Mixture(self._count_K / self._count_K.sum(), mean_QK, np.sqrt(variance_QK))

    def draw(self, flops_Q: Array, draws: int, generator: np.random.Generator) -> Array:
        """Whole curves (D, Q) of log errors, without a run's noise."""
        mean_QK, lever_QK, walk_JQQ = self._paths(flops_Q)
        drawn_K = generator.multinomial(draws, self._count_K / self._count_K.sum())
        which_D = np.repeat(np.arange(len(drawn_K)), drawn_K)
        curves_QD = mean_QK[:, which_D] + lever_QK[:, which_D] * generator.standard_normal(draws)
        for j, members in self._members.items():
            here_D = np.flatnonzero(np.isin(which_D, members))
            curves_QD[:, here_D] += _root(walk_JQQ[j]) @ generator.standard_normal((len(flops_Q), len(here_D)))
        return generator.permutation(curves_QD.T)

    def noise(self) -> float:
        """The standard deviation of one run's log error around its curve: root of the mean over components."""
        weight = {j: self._count_K[members].sum() / self._count_K.sum() for j, members in self._members.items()}
        return float(np.sqrt(sum(weight[j] * SCALES[j][1] ** 2 for j in weight)))

    def _paths(self, flops_Q: Array) -> tuple[Array, Array, dict[int, Array]]:
        """Mean (Q, K) of the curve, deviation (Q, K) by the level, covariance (Q, Q) by the misfit of each scale."""
        x_Q, walks = np.log(flops_Q) - self._evidence.origin, {}
        mean_QK, lever_QK = self._laws_K.log_errors(self._level_K, x_Q)
        across_NQ, among_QQ = self._evidence.misfit_across(x_Q), self._evidence.misfit_among(x_Q)
        for j, members in self._members.items():
            solved, variance = self._solved[j], SCALES[j][0] ** 2
            white_NQ = whitened(solved.factor_NN, variance * across_NQ)
            mean_QK[:, members] += white_NQ.T @ solved.remainder_NG
            lever_QK[:, members] -= white_NQ.T @ solved.slope_NG
            lever_QK[:, members] *= np.sqrt(solved.level_variance_G)
            walks[j] = variance * among_QQ - white_NQ.T @ white_NQ
        return mean_QK, lever_QK, walks


def _root(covariance_QQ: Array) -> Array:
    """A root of a covariance that may be singular."""
    values_Q, vectors_QQ = np.linalg.eigh(covariance_QQ)
    root: Array = vectors_QQ * np.sqrt(np.maximum(values_Q, 0.0))
    return root
