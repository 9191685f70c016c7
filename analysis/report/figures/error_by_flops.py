"""CER against charged FLOPs: points, laws with bands, forecasts."""

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from analysis.curves.forecast_check import Forecast
from analysis.report.figures.axes import error_axis, flops_axis
from analysis.report.figures.canvas import MOST_PANELS, Layout, legend, panels
from analysis.report.figures.marks import LARGEST_CER, draw_trace, errors_of, law_entries, strategy_entries, within
from analysis.report.findings import Findings
from analysis.report.palette import INK, curve_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def error_by_flops(findings: Findings, layout: Layout) -> Figure:
    """CER against charged FLOPs, a panel for each pair of models."""
    shown = findings.models[:MOST_PANELS]
    figure, axes = panels(len(shown), layout)
    for ax, models in zip(axes, shown, strict=True):
        for index, strategy in enumerate(findings.strategies):
            for trace in within(findings.of(strategy), models):
                draw_trace(ax, trace, index)
        for forecast in findings.forecasts:
            _draw_forecast(ax, findings, forecast, models)
        ax.set_title(models, loc="left")
    truths = [forecast.truth for forecast in findings.forecasts if forecast.truth > 0.0]
    flops_axis(axes[0])
    error_axis(axes[0], errors_of(findings.traces, laws=True) + truths, findings.error_name)
    legend(figure, [*strategy_entries(findings), *law_entries(findings)], layout)
    return figure


def _draw_forecast(ax: "Axes", findings: Findings, forecast: Forecast, models: str) -> None:
    prediction = forecast.prediction
    if prediction is None:
        return
    trace = next(trace for trace in findings.traces if trace.curve is prediction.curve)
    if trace.models != models:
        return
    colour = curve_style(findings.strategies.index(forecast.strategy)).light
    if prediction.interval is not None and prediction.cer is not None:
        low, high = prediction.interval
        arms = [[prediction.cer - low], [min(high, LARGEST_CER) - prediction.cer]]
        ax.errorbar([forecast.flops], [prediction.cer], arms, color=colour, capsize=4, linewidth=1.2, zorder=4)
    ax.plot([forecast.flops], [forecast.truth], marker="*", markersize=13, color=colour, markeredgecolor=INK, zorder=5)
