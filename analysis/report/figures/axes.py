"""Logarithmic axes and their marks: FLOPs as powers of ten, errors as plain numbers."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from analysis.report.figures.canvas import STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

ROOM = {"across": 2.5, "up": 3.0}
"""An axis with fewer decades than this has room for 2 and 5 between its powers of ten."""
MOST_POWERS = 10
"""Powers of ten that an axis has room for."""
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def error_axis(first: "Axes", errors: Sequence[float], label: str) -> None:
    """Name and mark the shared axis up; it spans `errors`, so that bands without an end are cut off."""
    first.set_yscale("log")
    first.set_ylim(min(errors) / 1.3, max(errors) * 1.3)
    first.set_ylabel(label)
    _mark(first.yaxis, _marks(first.get_ylim(), ROOM["up"]), lambda value: f"{value:.3g}")


def flops_axis(first: "Axes", label: str = "charged FLOPs") -> None:
    """Name and mark the axis across that the panels of a figure share."""
    mark_flops(first)
    first.figure.supxlabel(label, fontsize=STYLE["axes.labelsize"])


def mark_flops(first: "Axes") -> None:
    """Mark the axis across, along which data are drawn already: 10¹¹, and 2 and 5 between where there is room."""
    first.set_xscale("log")
    marks = _marks(first.get_xlim(), ROOM["across"])
    bare = any(_is_power(mark) for mark in marks)
    _mark(first.xaxis, marks, lambda value: power(value).partition("×")[0] if bare else power(value))


def power(value: float) -> str:
    """A number as a power of ten.

    >>> power(1e11), power(6.403e11), power(0.002)
    ('10¹¹', '6.4×10¹¹', '2×10⁻³')
    """
    digits, exponent = f"{value:.2e}".split("e")
    ten = f"10{str(int(exponent)).translate(SUPERSCRIPTS)}"
    return ten if float(digits) == 1.0 else f"{float(digits):g}×{ten}"


def _marks(ends: tuple[float, float], room: float) -> list[float]:
    """Where an axis is marked: at powers of ten, and at 2 and 5 between where it has fewer decades than `room`."""
    decades = math.log10(ends[1] / ends[0])
    every = max(1, math.ceil(decades / MOST_POWERS))
    digits = (1, 2, 5) if decades < room else (1,)
    powers = range(math.floor(math.log10(ends[0])), math.ceil(math.log10(ends[1])) + 1)
    marks = [digit * 10.0**power for power in powers if power % every == 0 for digit in digits]
    return [mark for mark in marks if ends[0] <= mark <= ends[1]]


def _mark(axis: "Axis", marks: Sequence[float], text: Callable[[float], str]) -> None:
    axis.set_major_locator(FixedLocator(marks))
    axis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))
    axis.set_minor_formatter(NullFormatter())


def _is_power(value: float) -> bool:
    return abs(math.log10(value) - round(math.log10(value))) < 1e-9
