"""Mixtures of normal distributions of a log error: quantiles and shares, without scipy, whose import takes seconds."""

import math
from dataclasses import dataclass

import numpy as np

from analysis.forecasting.law_grid import Array

HALVINGS = 40
_Z = np.linspace(-8.0, 8.0, 8001)
_CDF = np.array([0.5 * math.erfc(-z / math.sqrt(2.0)) for z in _Z])


@dataclass(frozen=True, slots=True)
class Mixture:
    """Weights (K,), which sum to 1, and the means and standard deviations (Q, K) of the log error."""

    weight_K: Array
    mean_QK: Array
    sd_QK: Array

    def quantile(self, share: float) -> Array:
        """The log error (Q,) below which `share` of the distribution lies."""
        low = (self.mean_QK - 8.0 * self.sd_QK).min(1)
        high = (self.mean_QK + 8.0 * self.sd_QK).max(1)
        for _ in range(HALVINGS):
            middle = (low + high) / 2.0
            below = self.share_below(middle) < share
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        quantile_Q: Array = (low + high) / 2.0
        return quantile_Q

    def share_below(self, log_error_Q: Array) -> Array:
        """The share (Q,) of the distribution below `log_error_Q`."""
        share: Array = np.interp((log_error_Q[:, None] - self.mean_QK) / self.sd_QK, _Z, _CDF) @ self.weight_K
        return share

    def density(self, log_error_Q: Array) -> Array:
        """The density (Q,) at `log_error_Q`."""
        z_QK = (log_error_Q[:, None] - self.mean_QK) / self.sd_QK
        density: Array = (np.exp(-0.5 * z_QK**2) / self.sd_QK) @ self.weight_K / math.sqrt(2.0 * math.pi)
        return density
