"""The posterior of one curve: how much each law of the grid, with each misfit and noise, is believed after its runs.

Suffixes of arrays: G laws, J pairs of misfit and noise, K components kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from analysis.forecasting.evidence import Evidence
from analysis.forecasting.law_grid import SHAPE, Array
from analysis.forecasting.prior import AXES, MISFITS, NOISES, Prior

DRAWN = 1000
"""A posterior of tens of thousands of components is kept as this many systematic draws of them. Measured: ends of 90 %
intervals move by less than 1 % of the interval's width."""


@dataclass(frozen=True, slots=True)
class Components:
    """Places of laws (K,) and of pairs of misfit and noise (K,), and how many of the `DRAWN` draws fell there (K,)."""

    law_K: NDArray[np.int64]
    scale_K: NDArray[np.int64]
    count_K: NDArray[np.int64]

    def as_dict(self) -> dict[str, list[int]]:
        """The components as they are stored."""
        return {"law": self.law_K.tolist(), "scale": self.scale_K.tolist(), "count": self.count_K.tolist()}

    @classmethod
    def from_dict(cls, stored: Mapping[str, list[int]]) -> "Components":
        """The reverse of `as_dict`."""
        return cls(*(np.array(stored[name], dtype=np.int64) for name in ("law", "scale", "count")))


class Posterior:
    """One curve's evidence under a prior."""

    def __init__(self, evidence: Evidence, prior: Prior) -> None:
        self._evidence, self._prior = evidence, prior

    @cached_property
    def weight_GJ(self) -> Array:
        """Posterior weights, which sum to 1."""
        weight_GJ: Array = np.exp(self._joint_GJ - self.log_evidence)
        return weight_GJ

    @cached_property
    def log_evidence(self) -> float:
        """The log probability of the runs, averaged over everything that the prior holds possible."""
        largest = self._joint_GJ.max()
        return float(largest + np.log(np.exp(self._joint_GJ - largest).sum()))

    @cached_property
    def _joint_GJ(self) -> Array:
        joint: Array = self._evidence.log_likelihood_GJ + self._prior.log_law_G[:, None] + self._prior.log_scale_J
        return joint

    def marginals(self) -> dict[str, Array]:
        """The posterior weights along each axis of the prior."""
        law = self.weight_GJ.sum(1).reshape(SHAPE)
        scale = self.weight_GJ.sum(0).reshape(len(MISFITS), len(NOISES))
        sums = law.sum((1, 2)), law.sum((0, 2)), law.sum((0, 1)), scale.sum(1), scale.sum(0)
        return dict(zip(AXES, sums, strict=True))

    def components(self) -> Components:
        """Systematic draws: a component of weight w is drawn `DRAWN` w times, rounded up or down."""
        below = np.cumsum(self.weight_GJ.ravel())
        drawn = np.searchsorted(below / below[-1], (np.arange(DRAWN) + 0.5) / DRAWN)
        places, count_K = np.unique(drawn, return_counts=True)
        law_K, scale_K = np.divmod(places, self.weight_GJ.shape[1])
        return Components(law_K, scale_K, count_K.astype(np.int64))
