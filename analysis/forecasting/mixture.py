"""Mixtures of normal distributions of a log error: quantiles and shares, without scipy, whose import takes seconds."""

import math
from dataclasses import dataclass

import numpy as np

from analysis.forecasting.law_grid import Array

STEPS = 40
"""The most steps of a search for a quantile; a search by slope and halving takes 6 to 10."""
CLOSE = 1e-9
"""A quantile is found when the share below it is as wanted to this."""
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
        low, high = (self.mean_QK - 8.0 * self.sd_QK).min(1), (self.mean_QK + 8.0 * self.sd_QK).max(1)
        place = self.mean() + self.sd() * np.interp(share, _CDF, _Z)
        for _ in range(STEPS):
            excess = self.share_below(place) - share
            if np.abs(excess).max() < CLOSE:
                break
            low, high = np.where(excess < 0.0, place, low), np.where(excess < 0.0, high, place)
            step = place - excess / np.maximum(self.density(place), 1e-12)
            place = np.where((low < step) & (step < high), step, (low + high) / 2.0)
        return place

    def share_below(self, log_error_Q: Array) -> Array:
        """The share (Q,) of the distribution below `log_error_Q`."""
        share: Array = _below((log_error_Q[:, None] - self.mean_QK) / self.sd_QK) @ self.weight_K
        return share

    def density(self, log_error_Q: Array) -> Array:
        """The density (Q,) at `log_error_Q`."""
        z_QK = (log_error_Q[:, None] - self.mean_QK) / self.sd_QK
        density: Array = (np.exp(-0.5 * z_QK**2) / self.sd_QK) @ self.weight_K / math.sqrt(2.0 * math.pi)
        return density

    def mean(self) -> Array:
        """The mean log error (Q,)."""
        mean: Array = self.mean_QK @ self.weight_K
        return mean

    def sd(self) -> Array:
        """The standard deviation (Q,) of the log error."""
        square: Array = (self.mean_QK**2 + self.sd_QK**2) @ self.weight_K
        return np.sqrt(np.maximum(square - self.mean() ** 2, 0.0))

    def draw(self, draws: int, generator: np.random.Generator) -> Array:
        """Log errors (Q, D), the same components and normal numbers at every question."""
        chosen_D = generator.choice(len(self.weight_K), draws, p=self.weight_K)
        drawn: Array = self.mean_QK[:, chosen_D] + self.sd_QK[:, chosen_D] * generator.standard_normal(draws)
        return drawn

    def expected_error(self) -> Array:
        """The expected error (Q,), where no error counts for more than 1, which is chance."""
        mean_QK, sd_QK = self.mean_QK, self.sd_QK
        inside_QK = np.exp(np.minimum(mean_QK + 0.5 * sd_QK**2, 50.0)) * _below((-mean_QK - sd_QK**2) / sd_QK)
        above_QK = _below(mean_QK / sd_QK)
        expected: Array = np.minimum(inside_QK + above_QK, 1.0) @ self.weight_K
        return expected


def _below(z: Array) -> Array:
    """The share of a standard normal distribution below `z`."""
    share: Array = np.interp(z, _Z, _CDF)
    return share
