"""One picture of runs and laws, on anybody's axes or in a file: what `fit --plot` writes and notebooks show."""

from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from analysis.curves.fits import Fits
from analysis.curves.predict import Prediction
from analysis.curves.traces import traces_of
from analysis.report.figures.axes import error_axis, mark_flops
from analysis.report.figures.canvas import style
from analysis.report.figures.marks import draw_trace, errors_of
from analysis.report.findings import HORIZON
from analysis.report.palette import INK, curve_style
from scaling.errors import InputError, nearest
from scaling.system.atomic_files import temporary_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (6.4, 4.0)
"""Inches, width and height."""
DOTS_PER_INCH = 200


def axes_given(ax: object) -> "Axes":
    """The axes given to `plot`, or, for None, those of a new figure. Raises InputError for anything else."""
    from matplotlib.axes import Axes

    if ax is None:
        import matplotlib.pyplot as plt

        return plt.subplots(figsize=SIZE, layout="constrained")[1]
    if not isinstance(ax, Axes):
        file = f"; a picture is saved by .plot().figure.savefig({str(ax)!r})" if isinstance(ax, str | Path) else ""
        raise InputError(f"plot: {ax!r}, expected matplotlib axes{file}")
    return ax


def draw_picture(fits: Fits, ax: "Axes", horizon: float | None = None) -> None:
    """Draw the runs of every curve, and its law with its interval up to `horizon` FLOPs: by default ten times the
    largest budget. Of laws in other columns than FLOPs, draw what was measured against what they say. Raises InputError
    where there is no such law.
    """
    if any(set(curve.domain) != {"C"} for curve in fits.curves.curves):
        _draw_measured_against_fitted(fits, ax)
        return
    largest = max(curve.largest_flops for curve in fits.curves.curves)
    traces = traces_of(fits.table, fits.curves.curves, horizon or HORIZON * largest, fits.curves.set_aside)
    for index, trace in enumerate(traces):
        draw_trace(ax, trace, index)
        entry = curve_style(index)
        ax.plot([], [], color=entry.light, marker=entry.mark, markersize=5, label=trace.curve.label)
    mark_flops(ax)
    ax.set_xlabel("training FLOPs")
    error_axis(ax, errors_of(traces, laws=True), fits.error_name)
    ax.legend()


def mark_prediction(ax: "Axes", prediction: Prediction) -> None:
    """Mark a prediction with the interval of one new run."""
    if prediction.cer is None:
        return
    across = prediction.columns.get("C", prediction.cer)
    if prediction.interval is not None:
        low, high = prediction.interval
        ax.errorbar([across], [prediction.cer], [[prediction.cer - low], [high - prediction.cer]],
                    color=INK, capsize=4, linewidth=1.2, zorder=4)  # fmt: skip
    ax.plot([across], [prediction.cer], marker="D", color=INK, markersize=6, zorder=5)


def _draw_measured_against_fitted(fits: Fits, ax: "Axes") -> None:
    """A point a run, on the diagonal where the law says what was measured."""
    fitted = [(curve, curve.fit) for curve in fits.curves.curves if curve.fit is not None]
    if not fitted:
        raise InputError(f"plot: {', '.join(curve.label for curve in fits.curves.curves)}: too few runs for a law")
    for index, (curve, fit) in enumerate(fitted):
        entry = curve_style(index)
        label = f"{curve.label}: {fit.law.name}"
        ax.plot(fit.predict(fit.columns), fit.y, color=entry.light, marker=entry.mark, linestyle="", label=label)
    errors = [float(error) for _, fit in fitted for error in (*fit.y, *fit.predict(fit.columns))]
    ends = min(errors) / 1.1, max(errors) * 1.1
    ax.plot(ends, ends, color=INK, linewidth=0.8, zorder=1)
    ax.set_xscale("log")
    error_axis(ax, errors, f"{fits.error_name}, measured")
    ax.set_xlabel(f"{fits.error_name} by the law in {', '.join(fitted[0][1].law.columns)}")
    ax.set_xlim(*ends)
    ax.set_ylim(*ends)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
        axis.set_minor_formatter(NullFormatter())
    ax.legend()


def check_kind(file: Path) -> None:
    """Raise InputError where the suffix of `file` names no kind of picture, or its folder is not there."""
    kinds = Figure().canvas.get_supported_filetypes()
    if file.suffix.lower().removeprefix(".") not in kinds:
        valid = [f".{kind}" for kind in kinds]
        raise InputError(f"--plot {file}: no kind of picture {file.suffix!r}{nearest(file.suffix, valid)}")
    if not file.parent.is_dir():
        raise InputError(f"--plot {file}: there is no folder {file.parent}")


def save_picture(fits: Fits, file: Path) -> None:
    """Write the picture of `fits`, whole or not at all; the suffix is its kind. Raises InputError as `draw_picture`."""
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
