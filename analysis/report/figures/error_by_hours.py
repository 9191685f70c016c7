"""CER against the audio heard at least once."""

import math
from collections.abc import Iterator

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from analysis.comparing.equal_hours import hours_of_every_run
from analysis.curves.traces import Trace
from analysis.forecasting.repetition import MANY_EPOCHS
from analysis.report.figures.axes import error_axis
from analysis.report.figures.canvas import MOST_PANELS, STYLE, Layout, legend, panels
from analysis.report.figures.marks import draw_point, draw_seeds, errors_of, strategy_entries, within
from analysis.report.findings import Findings
from analysis.report.palette import curve_style


def error_by_hours(findings: Findings, layout: Layout) -> Figure | None:
    """CER over unique hours, a panel a pair; open: heard over four times. None where hours say nothing."""
    if hours_of_every_run(findings.traces) is not None:
        return None
    shown = [models for models in findings.models[:MOST_PANELS] if any(_heard(findings, models))]
    if not shown:
        return None
    figure, axes = panels(len(shown), layout)
    for ax, models in zip(axes, shown, strict=True):
        for trace, index in _heard(findings, models):
            hours = [point.unique_hours or math.nan for point in trace.points]
            ax.plot(hours, [point.mean.cer for point in trace.points], color=curve_style(index).light, linewidth=1.0)
            for x, point in zip(hours, trace.points, strict=True):
                many = point.passes is not None and point.passes > MANY_EPOCHS
                draw_point(ax, x, point.mean.cer, index, hollow=many)
                draw_seeds(ax, x, point, curve_style(index).light)
        ax.set_title(models, loc="left")
    axes[0].set_xscale("log")
    axes[0].xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
    axes[0].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axes[0].xaxis.set_minor_formatter(NullFormatter())
    figure.supxlabel("unique hours of audio", fontsize=STYLE["axes.labelsize"])
    error_axis(axes[0], errors_of(findings.traces, laws=False), findings.error_name)
    legend(figure, strategy_entries(findings), layout)
    return figure


def _heard(findings: Findings, models: str) -> Iterator[tuple[Trace, int]]:
    for index, strategy in enumerate(findings.strategies):
        for trace in within(findings.of(strategy), models):
            if trace.points and all(point.unique_hours for point in trace.points):
                yield trace, index
