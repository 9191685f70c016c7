"""One picture of runs and laws, on anybody's axes or in a file: what `fit --plot` writes and notebooks show."""

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.curves.fits import Fits
from analysis.curves.predict import Prediction
from analysis.curves.traces import Trace, traces_of
from analysis.report.figures import _draw_trace, _style
from analysis.report.findings import HORIZON
from analysis.report.palette import INK, curve_style
from analysis.tables.points import ERROR
from scaling.errors import InputError, nearest

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (6.4, 4.0)
"""Inches, width and height."""
DOTS_PER_INCH = 200
SUPERSCRIPTS = str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")
ROOM = 1.3
"""The axis of errors ends this factor beyond what was measured and said."""


def new_axes() -> "Axes":
    """Axes of a new figure, as notebooks show it."""
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=SIZE, layout="constrained")[1]


def draw_picture(fits: Fits, ax: "Axes", horizon: float | None = None) -> None:
    """Draw the runs of every curve, and its law with its interval up to `horizon` FLOPs: by default ten times the
    largest budget. Raises InputError for laws in other columns than FLOPs.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    largest = max(curve.largest_flops for curve in fits.curves.curves)
    traces = traces_of(fits.table, fits.curves.curves, horizon or HORIZON * largest, fits.curves.set_aside)
    for index, trace in enumerate(traces):
        _draw_trace(ax, trace, index)
        style = curve_style(index)
        ax.plot([], [], color=style.light, marker=style.mark, markersize=5, label=trace.curve.label)
    errors = [error for trace in traces for error in _errors(trace)]
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_ylim(min(errors) / ROOM, max(errors) * ROOM)
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_major_formatter(FuncFormatter(_power_of_ten))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("training FLOPs")
    ax.set_ylabel(fits.curves.named.get(ERROR, "CER"))
    ax.legend()


def mark_prediction(ax: "Axes", prediction: Prediction) -> None:
    """Mark a prediction with the interval of one new run."""
    if prediction.cer is None:
        return
    if prediction.interval is not None:
        low, high = prediction.interval
        ax.errorbar([prediction.flops], [prediction.cer], [[prediction.cer - low], [high - prediction.cer]],
                    color=INK, capsize=4, linewidth=1.2, zorder=4)  # fmt: skip
    ax.plot([prediction.flops], [prediction.cer], marker="D", color=INK, markersize=6, zorder=5)


def check_kind(file: Path) -> None:
    """Raise InputError where the suffix of `file` names no kind of picture, or its folder is not there."""
    from matplotlib.figure import Figure

    kinds = Figure().canvas.get_supported_filetypes()
    if file.suffix.lower().removeprefix(".") not in kinds:
        valid = [f".{kind}" for kind in kinds]
        raise InputError(f"--plot {file}: no kind of picture {file.suffix!r}{nearest(file.suffix, valid)}")
    if not file.parent.is_dir():
        raise InputError(f"--plot {file}: there is no folder {file.parent}")


def save_picture(fits: Fits, file: Path) -> None:
    """Write the picture of `fits` to `file`, whole or not at all; the suffix is its kind. Raises InputError as
    `check_kind` and `draw_picture` do.
    """
    from matplotlib.figure import Figure

    check_kind(file)
    with _style():
        figure = Figure(figsize=SIZE, layout="constrained")
        draw_picture(fits, figure.subplots())
        draft = file.with_name(f".{file.name}.{os.getpid()}")
        figure.savefig(draft, format=file.suffix.lower().removeprefix("."), dpi=DOTS_PER_INCH)
    draft.replace(file)


def _power_of_ten(value: float, _: int) -> str:
    return f"10{str(round(math.log10(value))).translate(SUPERSCRIPTS)}"


def _errors(trace: Trace) -> list[float]:
    """Every error that the picture must hold; intervals may be cut."""
    points = (*trace.points, *trace.aside)
    measured = [score for point in points for score in (point.low, point.high) if score > 0.0]
    return measured + [point.cer for point in trace.path if point.cer]
