"""Points, laws and legends, as every figure shows them: a colour and a mark for each strategy."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.curves.traces import PlottedPoint, Trace
from analysis.report.findings import Findings
from analysis.report.palette import INK, PAPER, curve_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BAND, FAR_BAND = 0.22, 0.10
"""Opacity of the band around a law, within the runs and beyond them."""
LARGEST_CER = 100.0
"""An interval without an upper end is drawn up to this CER, far above any figure."""
BEYOND = (0, (4, 2))
"""Dashes of a law beyond the runs."""


def draw_trace(ax: "Axes", trace: Trace, index: int) -> None:
    """A curve as far as the data carry it: its law, and its points with those that were set aside."""
    draw_law(ax, trace, index)
    for point in (*trace.points, *trace.aside):
        draw_point(ax, point.mean.flops, point.mean.cer, index, hollow=bool(point.set_aside))
        draw_seeds(ax, point.mean.flops, point, curve_style(index).light)


def draw_law(ax: "Axes", trace: Trace, index: int) -> None:
    """A law with its band: solid over the runs, dashed and paler beyond."""
    colour, largest = curve_style(index).light, trace.curve.largest_flops
    inside = [point for point in trace.path if point.flops <= largest]
    beyond = [point for point in trace.path if point.flops >= largest]
    dashes: Any
    for part, dashes, alpha in ((inside, "-", BAND), (beyond, BEYOND, FAR_BAND)):
        flops = [point.flops for point in part]
        ax.plot(flops, [point.cer or math.nan for point in part], color=colour, linestyle=dashes)
        if part and all(point.curve_interval is not None for point in part):
            ends = [point.curve_interval or (math.nan, math.nan) for point in part]
            low, high = [low for low, _ in ends], [min(high, LARGEST_CER) for _, high in ends]
            ax.fill_between(flops, low, high, color=colour, alpha=alpha, linewidth=0)


def draw_point(ax: "Axes", x: float, y: float, index: int, *, hollow: bool) -> None:
    """The mark of a strategy at (x, y)."""
    style = curve_style(index)
    face = PAPER if hollow else style.light
    ax.plot([x], [y], marker=style.mark, color=style.light, markerfacecolor=face, markersize=4.5, zorder=3)


def draw_seeds(ax: "Axes", x: float, point: PlottedPoint, colour: Any) -> None:
    """The range of a point's seeds."""
    if point.high > point.low:
        ax.plot([x, x], [point.low, point.high], color=colour, linewidth=0.9)


def strategy_entries(findings: Findings) -> list[Any]:
    """Entries of a legend that name the strategies."""
    return [
        Line2D([], [], color=curve_style(i).light, marker=curve_style(i).mark, markersize=5, label=name)
        for i, name in enumerate(findings.strategies)
    ]


def law_entries(findings: Findings) -> list[Any]:
    """Entries of a legend that say what lines, bands and stars are; nothing that is not drawn."""
    entries: list[Any] = []
    paths = [trace for trace in findings.traces if trace.path]
    if any(point.curve_interval is not None for trace in paths for point in trace.path):
        entries.append(Patch(facecolor=INK, alpha=BAND, linewidth=0, label="90 % interval of the law"))
    if any(trace.path[-1].flops > trace.curve.largest_flops for trace in paths):
        entries.append(Line2D([], [], color=INK, linestyle=BEYOND, label="beyond the runs"))
    if findings.reasons_aside:
        entries.append(
            Line2D([], [], color=INK, marker="o", markersize=5, markerfacecolor=PAPER, linestyle="", label="set aside")
        )
    if findings.forecasts:
        entries.append(Line2D([], [], color=INK, marker="*", markersize=11, linestyle="", label="forecast run"))
    return entries


def errors_of(traces: Iterable[Trace], *, laws: bool) -> list[float]:
    """Every error that a figure must hold."""
    points = [point for trace in traces for point in (*trace.points, *trace.aside)]
    measured = [score for point in points for score in (point.low, point.high) if score > 0.0]
    return measured + [point.cer for trace in traces if laws for point in trace.path if point.cer]


def within(traces: Sequence[Trace], models: str) -> list[Trace]:
    """The traces of one pair of models."""
    return [trace for trace in traces if trace.models == models]
