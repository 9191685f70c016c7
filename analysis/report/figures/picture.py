"""One picture of runs and laws, on anybody's axes or in a file: what `fit --plot` writes and notebooks show."""

from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from analysis.curves.fits import Fits
from analysis.curves.predict import Prediction
from analysis.curves.traces import traces_of
from analysis.report.figures.axes import error_axis, mark_flops
from analysis.report.figures.canvas import style
from analysis.report.figures.marks import draw_trace, errors_of
from analysis.report.findings import HORIZON
from analysis.report.palette import INK, curve_style
from analysis.tables.points import ERROR
from scaling.errors import InputError, nearest
from scaling.system.atomic_files import temporary_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (6.4, 4.0)
"""Inches, width and height."""
DOTS_PER_INCH = 200


def new_axes() -> "Axes":
    """Axes of a new figure, as notebooks show it."""
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=SIZE, layout="constrained")[1]


def draw_picture(fits: Fits, ax: "Axes", horizon: float | None = None) -> None:
    """Draw the runs of every curve, and its law with its interval up to `horizon` FLOPs: by default ten times the
    largest budget. Raises InputError for laws in other columns than FLOPs.
    """
    largest = max(curve.largest_flops for curve in fits.curves.curves)
    traces = traces_of(fits.table, fits.curves.curves, horizon or HORIZON * largest, fits.curves.set_aside)
    for index, trace in enumerate(traces):
        draw_trace(ax, trace, index)
        entry = curve_style(index)
        ax.plot([], [], color=entry.light, marker=entry.mark, markersize=5, label=trace.curve.label)
    mark_flops(ax)
    ax.set_xlabel("training FLOPs")
    error_axis(ax, errors_of(traces, laws=True), fits.curves.named.get(ERROR, "CER"))
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
    check_kind(file)
    with style():
        figure = Figure(figsize=SIZE, layout="constrained")
        draw_picture(fits, figure.subplots())
        draft = temporary_beside(file)
        try:
            figure.savefig(draft, format=file.suffix.lower().removeprefix("."), dpi=DOTS_PER_INCH)
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)
