"""Intervals of a law that was asked for by name: profile intervals of its fit, which take the law for true."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from analysis.curves.seed_noise import RunNoise
from analysis.fitting.fit import Fit
from analysis.fitting.intervals import Kind, interval
from analysis.fitting.laws import Array
from analysis.fitting.minimiser import SMALLEST_ERROR
from analysis.forecasting.lattice import Lattice
from analysis.forecasting.repetition import stretch

Ends = tuple[Array, Array]
"""Lower and upper ends (k,) of intervals."""

Columns = Mapping[str, npt.ArrayLike]
"""A law's columns, each of shape (k,)."""


def curve_ends(fit: Fit, columns: Columns, level: float) -> Ends:
    """Ends of the interval of the curve. For a law in compute alone, none rises with FLOPs beyond the largest run."""
    return _ends(fit, columns, level, "curve", None)


def run_ends(fit: Fit, columns: Columns, level: float, noise: RunNoise | None) -> Ends:
    """Ends of the interval of one new run, which is never inside that of the curve."""
    low, high = _ends(fit, columns, level, "new_run", noise)
    curve_low, curve_high = curve_ends(fit, columns, level)
    return np.minimum(low, curve_low), np.maximum(high, curve_high)


def _ends(fit: Fit, columns: Columns, level: float, kind: Kind, noise: RunNoise | None) -> Ends:
    if tuple(columns) != ("C",):
        return _stretched(fit, columns, interval(fit, columns, level=level, kind=kind))
    lattice = Lattice.around(np.asarray(columns["C"], dtype=float), float(fit.columns["C"].max()))
    weight = 1.0 if noise is None else noise.weight(fit.predict({"C": lattice.flops_L}))
    low, high = interval(fit, {"C": lattice.flops_L}, level=level, kind=kind, run_weight=weight)
    return np.exp(lattice.falling(np.log(np.maximum(low, SMALLEST_ERROR)))), np.exp(lattice.falling(np.log(high)))


def _stretched(fit: Fit, columns: Columns, ends: Ends) -> Ends:
    """The ends moved outwards where data would be repeated more often than in any point of the fit."""
    if not {"D", "U"} <= set(columns):
        return ends
    middle = fit.predict(columns)
    factor = stretch(np.asarray(columns["D"]) / np.asarray(columns["U"]), most_passes(fit))
    low, high = (middle * (np.maximum(end, SMALLEST_ERROR) / middle) ** factor for end in ends)
    return low, high


def most_passes(fit: Fit) -> float:
    """The most passes over the unique data (U) by the data seen (D) in the points of a fit."""
    return float(np.max(fit.columns["D"] / fit.columns["U"]))
