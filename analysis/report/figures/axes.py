"""Logarithmic axes and their marks: FLOPs as powers of ten, errors as plain numbers."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from analysis.report.figures.canvas import STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW_DECADES_ACROSS, FEW_DECADES_UP = 2.5, 3.0
"""An axis with fewer decades than this, across or up, has room for 2 and 5 between its powers of ten."""
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def error_axis(first: "Axes", errors: Sequence[float], label: str = "CER") -> None:
    """Name and mark the shared axis up; it spans `errors`, so that bands without an end are cut off."""
    first.set_yscale("log")
    first.set_ylim(min(errors) / 1.3, max(errors) * 1.3)
    first.set_ylabel(label)
    few = _decades(first.get_ylim()) < FEW_DECADES_UP
    first.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,), numticks=12))
    first.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    first.yaxis.set_minor_formatter(NullFormatter())


def flops_axis(first: "Axes", label: str = "charged FLOPs") -> None:
    """Name and mark the axis across that the panels of a figure share."""
    mark_flops(first)
    first.figure.supxlabel(label, fontsize=STYLE["axes.labelsize"])


def mark_flops(first: "Axes") -> None:
    """Mark the axis across, along which data are drawn already: 10¹¹, and 2 and 5 between where there is room."""
    first.set_xscale("log")
    ends = first.get_xlim()
    few = _decades(ends) < FEW_DECADES_ACROSS
    bare = math.ceil(math.log10(ends[0])) <= math.floor(math.log10(ends[1]))
    first.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,), numticks=12))
    first.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _between_powers(value) if bare else power(value)))
    first.xaxis.set_minor_formatter(NullFormatter())


def power(value: float) -> str:
    """A number as a power of ten.

    >>> power(1e11), power(6.403e11), power(0.002)
    ('10¹¹', '6.4×10¹¹', '2×10⁻³')
    """
    digits, exponent = f"{value:.2e}".split("e")
    ten = f"10{str(int(exponent)).translate(SUPERSCRIPTS)}"
    return ten if float(digits) == 1.0 else f"{float(digits):g}×{ten}"


def _between_powers(value: float) -> str:
    """A mark on an axis that has a power of ten: that in full, 2 and 5 by their digit alone."""
    text = power(value)
    return text.partition("×")[0]


def _decades(ends: tuple[float, float]) -> float:
    return math.log10(ends[1] / ends[0])
