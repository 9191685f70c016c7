"""A family of laws on a grid: (y - E) / (1 - y)^a = A C^-b.

y is an error rate as a share of chance, C the training FLOPs, E the floor. The bend `a` says how the curve leaves
chance: 0 is the power law with a floor, which knows no chance; 1 is a logistic curve in log C; what lies between
leaves chance faster than it falls later. The family is that of Alabdulmohsin, Neyshabur and Zhai, "Revisiting neural
scaling laws in language and vision" (2022), where the bend is fitted. Here all bends are weighed against each other.

Suffixes of arrays: N measurements, Q questions, G cells of the grid.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FLOOR_SHARES = np.concatenate([[0.0], np.linspace(0.04, 0.95, 11)])
"""The floor as a share of the smallest error measured."""
EXPONENTS = np.exp(np.linspace(np.log(0.04), np.log(3.0), 24))
"""From hardly falling to an error that a doubling of the FLOPs divides by eight."""
BENDS = np.array([0.0, 0.3, 0.6, 1.0, 2.0])
"""Measured (image classifiers): .3 and .6 fit best where a curve leaves chance early, 1 where it leaves late."""

SHAPE = (len(FLOOR_SHARES), len(EXPONENTS), len(BENDS))
"""The grid's axes: floor, exponent, bend. A cell is a place in the grid, flattened."""

_LOGITS = np.linspace(-40.0, 40.0, 16_001)


@dataclass(frozen=True, slots=True)
class GridLaws:
    """The law of every cell for one curve: the floor (G,), exponent (G,) and bend (G,)."""

    floor_G: Array
    exponent_G: Array
    bend_G: Array

    def log_errors(self, level_G: Array, log_flops_Q: Array) -> tuple[Array, Array]:
        """Log errors (Q, G) at `log_flops_Q`, and their derivatives (Q, G) by the level (log A)."""
        shifted_QG = level_G - self.exponent_G * log_flops_Q[:, None]
        shifted_QG = shifted_QG - (1.0 - self.bend_G) * np.log1p(-self.floor_G)
        share_QG = np.empty_like(shifted_QG)
        for bend in BENDS:
            of_bend = self.bend_G == bend
            share_QG[:, of_bend] = _share(float(bend), shifted_QG[:, of_bend])
        error_QG = self.floor_G + (1.0 - self.floor_G) * share_QG
        above_floor_QG = np.maximum(error_QG - self.floor_G, 1e-300)
        below_chance_QG = np.maximum(1.0 - error_QG, 1e-12)
        stretch_QG = 1.0 / above_floor_QG + np.where(self.bend_G > 0.0, self.bend_G / below_chance_QG, 0.0)
        return np.log(error_QG), 1.0 / (error_QG * stretch_QG)

    def chosen(self, laws: NDArray[np.int64]) -> "GridLaws":
        """Some of the laws."""
        return GridLaws(self.floor_G[laws], self.exponent_G[laws], self.bend_G[laws])

    def level_at(self, log_error: float) -> Array:
        """The level (G,) at which each law passes `log_error` at log FLOPs 0; bent laws stay below chance."""
        error_G = np.where(self.bend_G > 0.0, min(np.exp(log_error), 0.98), np.exp(log_error))
        error_G = np.maximum(error_G, self.floor_G * (1.0 + 1e-6))
        level_G: Array = np.log(error_G - self.floor_G) - self.bend_G * np.log(np.maximum(1.0 - error_G, 1e-12))
        return level_G


def laws_below(smallest_error: float) -> GridLaws:
    """The laws of the grid whose floors are shares of `smallest_error`. A floor stays below .9 of chance."""
    floor, exponent, bend = np.meshgrid(FLOOR_SHARES, EXPONENTS, BENDS, indexing="ij")
    return GridLaws(np.minimum(floor.ravel() * smallest_error, 0.9), exponent.ravel(), bend.ravel())


def _share(bend: float, value: Array) -> Array:
    """The share s in (0, 1) with log s - bend log(1 - s) = value; e^value for a bend of 0, which has no chance."""
    if bend == 0.0:
        power: Array = np.exp(value)
        return power
    values, logits = _table(bend)
    share: Array = 1.0 / (1.0 + np.exp(-np.interp(value, values, logits)))
    return share


@cache
def _table(bend: float) -> tuple[Array, Array]:
    log_share = -np.logaddexp(0.0, -_LOGITS)
    log_rest = -np.logaddexp(0.0, _LOGITS)
    return log_share - bend * log_rest, _LOGITS
