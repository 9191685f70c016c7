"""What is believed of a curve before its own runs are seen: a weight for each place on each axis of the grid.

The weights are weak: the spread of each axis covers every curve that was looked at. Where a number comes from a
measurement, it is from error rates of image classifiers against examples seen (Alabdulmohsin et al. 2022, 36 curves) or
from runs of this project; `results/benchmarks/forecasts.json` has the scores with curves left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from analysis.forecasting.law_grid import BENDS, EXPONENTS, FLOOR_SHARES, Array

MISFITS = np.array([0.0, 0.004, 0.01, 0.025, 0.06, 0.15, 0.4])
"""Sizes of the misfit: standard deviation of the change of a curve's log-log slope over one e-fold of FLOPs."""
NOISES = np.exp(np.linspace(np.log(0.005), np.log(0.4), 9))
"""Standard deviations of a run's log error around its curve."""
AXES = ("floor", "exponent", "bend", "misfit", "noise")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """Weights of each axis, which sum to 1; the axes are independent before any run is seen."""

    floor: Array
    exponent: Array
    bend: Array
    misfit: Array
    noise: Array

    @property
    def log_law_G(self) -> Array:
        """The log weight (G,) of every law of the grid."""
        with np.errstate(divide="ignore"):
            law: Array = np.log(self.floor)[:, None, None] + np.log(self.exponent)[:, None] + np.log(self.bend)
        return law.ravel()

    @property
    def log_scale_J(self) -> Array:
        """The log weight (J,) of every pair of misfit and noise."""
        with np.errstate(divide="ignore"):
            scale: Array = np.log(self.misfit)[:, None] + np.log(self.noise)
        return scale.ravel()

    def as_dict(self) -> dict[str, list[float]]:
        """The weights as they are stored."""
        return {axis: getattr(self, axis).tolist() for axis in AXES}

    @classmethod
    def from_dict(cls, stored: Mapping[str, list[float]]) -> "Prior":
        """The reverse of `as_dict`."""
        return cls(**{axis: np.array(stored[axis]) for axis in AXES})

    def without_chance(self) -> "Prior":
        """The same for losses, which have no error of chance: laws do not bend."""
        return replace(self, bend=(BENDS == 0.0).astype(float))


def _log_normal(grid: Array, median: float, spread: float) -> Array:
    weight = np.exp(-0.5 * ((np.log(grid) - np.log(median)) / spread) ** 2)
    normalised: Array = weight / weight.sum()
    return normalised


def _prior(*, no_floor: float, floor_decay: float, exponent: float, misfit: float, noise: float) -> Prior:
    """`no_floor`: the weight of laws without a floor; other floors weigh less by e at each 1 / `floor_decay` of the
    smallest error. The others are medians; a factor of two either way is one standard deviation or so.
    """
    density = np.exp(-floor_decay * FLOOR_SHARES[1:]) * np.gradient(FLOOR_SHARES)[1:]
    return Prior(
        floor=np.concatenate([[no_floor], (1.0 - no_floor) * density / density.sum()]),
        exponent=_log_normal(EXPONENTS, exponent, 0.6),
        bend=np.array([0.1, 0.2, 0.35, 0.25, 0.1]),  # one weight for each of `law_grid.BENDS`
        misfit=np.concatenate([[0.1], 0.9 * _log_normal(MISFITS[1:], misfit, 0.8)]),
        noise=_log_normal(NOISES, noise, 0.8),
    )


ONE_TRAINING = _prior(no_floor=0.1, floor_decay=0.8, exponent=0.5, misfit=0.006, noise=0.01)
"""For a table that declares no seeds. Measured on images: checkpoints of one training scatter by 1 % or so, and most
curves flatten. An answer is about this curve going on; it holds no variation between seeds."""

SEPARATE_RUNS = _prior(no_floor=0.5, floor_decay=6.0, exponent=0.6, misfit=0.06, noise=0.05)
"""For a table that declares seeds. Measured on four studies of small recognisers (synthetic digits, 2 to 3 strategies,
six budgets each): runs scatter by 3 to 14 % between seeds, slopes wander, and no error rate has flattened yet."""
