"""Figures for papers and for the page, as PNG and SVG. Only this module imports matplotlib, and only a report imports
this module.
"""

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.comparing.equal_hours import hours_of_every_run
from analysis.curves.forecast_check import Forecast
from analysis.curves.traces import PlottedPoint, Trace
from analysis.forecasting.repetition import MANY_EPOCHS
from analysis.report.findings import Findings
from analysis.report.palette import INK, PAPER, RULE, curve_style
from scaling.errors import InputError

try:
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
except ImportError:
    raise InputError(
        "report: figures need matplotlib, which is not installed: pip install 'asr-scaling[plot]'"
    ) from None

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 7.2, 3.4
"""Inches. A page of a paper is about 7 inches wide between its margins."""
COLUMNS = 3
"""Panels side by side."""
MOST_PANELS = 9
"""A figure with more panels than this cannot be read; the page shows the rest."""
PNG_DOTS_PER_INCH = 200
STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.labelsize": 9.0,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.which": "major",
    "axes.axisbelow": True,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "lines.linewidth": 1.5,
    "font.sans-serif": ["DejaVu Sans"],
    "svg.fonttype": "none",
    "text.parse_math": False,
}
"""Settings of matplotlib for every figure; names in the data are text and never mathematics."""
BAND, FAR_BAND = 0.22, 0.10
"""Opacity of the band around a law, within the runs and beyond them."""
LARGEST_CER = 100.0
"""An interval without an upper end is drawn up to this CER, far above any figure."""
FEW_DECADES_ACROSS, FEW_DECADES_UP = 2.0, 3.0
"""An axis with fewer decades than this, across or up, has room for 2 and 5 between its powers of ten."""
SEQUENCE = (0.15, 0.82)
"""The part of the colour map viridis that is used: its ends vanish on black or on white."""


def draw(findings: Findings) -> dict[str, Figure]:
    """Every figure that the data allow, by name."""
    painters: dict[str, Callable[[Findings], Figure | None]] = {
        "cer_by_flops": cer_by_flops,
        "cer_by_model_size": cer_by_model_size,
        "cer_by_unique_hours": cer_by_unique_hours,
        "residuals": residuals,
    }
    with _style():
        drawn = {name: paint(findings) for name, paint in painters.items()}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def save(name: str, figure: Figure, folder: Path) -> tuple[Path, Path]:
    """Write `folder`/name.png and .svg, the same bytes each time; their paths."""
    png, svg = folder / f"{name}.png", folder / f"{name}.svg"
    with _style({"svg.hashsalt": name}):
        for path in (png, svg):
            path.unlink(missing_ok=True)  # it may be a link to somebody else's file
        figure.savefig(png, dpi=PNG_DOTS_PER_INCH, metadata={"Software": None})
        figure.savefig(svg, metadata={"Date": None, "Creator": None})
    return png, svg


def cer_by_flops(findings: Findings) -> Figure:
    """CER against charged FLOPs, a panel for each pair of models: points, laws with bands, forecasts."""
    panels = _models_shown(findings)
    figure, axes = _panels(len(panels))
    for ax, models in zip(axes, panels, strict=True):
        for index, strategy in enumerate(findings.strategies):
            for trace in findings.of(strategy):
                if trace.models == models:
                    _draw_trace(ax, trace, index)
        for forecast in findings.forecasts:
            _draw_forecast(ax, findings, forecast, models)
        ax.set_title(models, loc="left")
    truths = [forecast.truth for forecast in findings.forecasts if forecast.truth > 0.0]
    _log_axes(axes, "charged FLOPs", _cers(findings.traces, laws=True) + truths)
    _legend(figure, findings, forecast=bool(findings.forecasts))
    return figure


def cer_by_model_size(findings: Findings) -> Figure | None:
    """CER against parameters, a line for each budget and a panel for each strategy; None with one pair of models."""
    sizes = _sizes(findings)
    if len(sizes) < 2:
        return None
    strategies = findings.strategies[:MOST_PANELS]
    budgets = sorted({findings.budget(point) for trace in findings.traces for point in trace.points})
    colour = _sequence(len(budgets))
    figure, axes = _panels(len(strategies))
    for ax, strategy in zip(axes, strategies, strict=True):
        points = {
            (findings.budget(point), trace.models): point for trace in findings.of(strategy) for point in trace.points
        }
        for k, budget in enumerate(budgets):
            line = [(size, points[budget, models]) for models, size in sizes.items() if (budget, models) in points]
            if line:
                x, y = [size for size, _ in line], [point.mean.cer for _, point in line]
                ax.plot(x, y, color=colour[k], marker="o", markersize=4)
                _whiskers(ax, x, [point for _, point in line], colour[k])
        ax.set_title(strategy, loc="left")
    _log_axes(axes, "parameters of encoder and LLM", _cers(findings.traces, laws=False))
    axes[0].set_xticks(list(sizes.values()), [_compact(size) for size in sizes.values()])
    axes[0].xaxis.set_minor_locator(NullLocator())
    axes[0].margins(x=0.12)
    handles = [Line2D([], [], color=colour[k], marker="o", markersize=4) for k in range(len(budgets))]
    labels = [_marked(budget, 0) for budget in budgets]
    figure.legend(handles, labels, title="FLOPs", loc="outside right upper", reverse=True)
    return figure


def cer_by_unique_hours(findings: Findings) -> Figure | None:
    """CER against the audio heard at least once; None where that was not recorded or the same for all runs.

    Open: heard more than four times.
    """
    if hours_of_every_run(findings.traces) is not None:
        return None
    panels = [models for models in _models_shown(findings) if any(_heard(findings, models))]
    if not panels:
        return None
    figure, axes = _panels(len(panels))
    for ax, models in zip(axes, panels, strict=True):
        for trace, index in _heard(findings, models):
            style = curve_style(index)
            x = [point.unique_hours or math.nan for point in trace.points]
            ax.plot(x, [point.mean.cer for point in trace.points], color=style.light, linewidth=1.0)
            for hours, point in zip(x, trace.points, strict=True):
                many = point.passes is not None and point.passes > MANY_EPOCHS
                _mark(ax, hours, point, index, hollow=many)
        ax.set_title(models, loc="left")
    _log_axes(axes, "unique hours of audio", _cers(findings.traces, laws=False))
    _legend(figure, findings, forecast=False)
    return figure


def residuals(findings: Findings) -> Figure | None:
    """Measured over fitted CER for every point in a fit, in percent; None without a fit."""
    figure, (ax,) = _panels(1)
    some = False
    for index, strategy in enumerate(findings.strategies):
        for trace in findings.of(strategy):
            if trace.curve.fit is None:
                continue
            some = True
            for point in trace.points:
                miss = 100.0 * (point.mean.cer / trace.curve.cer(point.mean.flops) - 1.0)
                ax.plot(
                    [point.mean.flops],
                    [miss],
                    marker=curve_style(index).mark,
                    color=curve_style(index).light,
                    markersize=5,
                    markerfacecolor=PAPER if point.set_aside else curve_style(index).light,
                )
    if not some:
        return None
    ax.axhline(0.0, color=INK, linewidth=0.8)
    ax.set_xscale("log")
    ax.set_xlabel("charged FLOPs")
    ax.xaxis.set_major_formatter(FuncFormatter(_marked))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_ylabel("measured over fitted CER, %")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+.0f}" if value else "0"))
    _legend(figure, findings, forecast=False)
    return figure


def _draw_trace(ax: "Axes", trace: Trace, index: int) -> None:
    style = curve_style(index)
    largest = trace.curve.largest_flops
    inside = [point for point in trace.path if point.flops <= largest]
    beyond = [point for point in trace.path if point.flops >= largest]
    for part, dashes, alpha in ((inside, "-", BAND), (beyond, (0, (4, 2)), FAR_BAND)):
        flops = [point.flops for point in part]
        ax.plot(flops, [point.cer or math.nan for point in part], color=style.light, linestyle=dashes)
        if part and all(point.curve_interval is not None for point in part):
            ends = [point.curve_interval or (math.nan, math.nan) for point in part]
            low, high = [low for low, _ in ends], [min(high, LARGEST_CER) for _, high in ends]
            ax.fill_between(flops, low, high, color=style.light, alpha=alpha, linewidth=0)
    for point in (*trace.points, *trace.aside):
        _mark(ax, point.mean.flops, point, index, hollow=point.set_aside)


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


def _mark(ax: "Axes", x: float, point: PlottedPoint, index: int, *, hollow: bool) -> None:
    style = curve_style(index)
    face = PAPER if hollow else style.light
    ax.plot([x], [point.mean.cer], marker=style.mark, color=style.light, markerfacecolor=face, markersize=4.5, zorder=3)
    _whiskers(ax, [x], [point], style.light)


def _whiskers(ax: "Axes", x: Sequence[float], points: Sequence[PlottedPoint], colour: Any) -> None:
    for place, point in zip(x, points, strict=True):
        if point.high > point.low:
            ax.plot([place, place], [point.low, point.high], color=colour, linewidth=0.9)


def _log_axes(axes: Sequence["Axes"], xlabel: str, cers: Sequence[float]) -> None:
    """Name and mark the shared axes; CER spans `cers`, so that bands without an end are cut off."""
    first = axes[0]
    first.set_xscale("log")
    first.set_yscale("log")
    first.set_ylim(min(cers) / 1.3, max(cers) * 1.3)
    first.set_ylabel("CER")
    first.figure.supxlabel(xlabel, fontsize=STYLE["axes.labelsize"])
    for axis, (low, high), few_decades in (
        (first.xaxis, first.get_xlim(), FEW_DECADES_ACROSS),
        (first.yaxis, first.get_ylim(), FEW_DECADES_UP),
    ):
        few = math.log10(high / low) < few_decades
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,), numticks=12))
        axis.set_major_formatter(FuncFormatter(_marked))
        axis.set_minor_formatter(NullFormatter())


def _marked(value: float, _: int) -> str:
    return f"{value:.3g}".replace("e+", "e")


def _cers(traces: Iterable[Trace], *, laws: bool) -> list[float]:
    """Every CER that a figure must hold."""
    measured = [
        score for trace in traces for point in (*trace.points, *trace.aside) for score in (point.low, point.high)
    ]
    return measured + [point.cer for trace in traces if laws for point in trace.path if point.cer]


def _panels(count: int) -> tuple[Figure, list["Axes"]]:
    """A figure with `count` panels of equal axes."""
    columns = min(count, COLUMNS)
    rows = -(-count // columns)
    figure = Figure(figsize=(WIDTH, HEIGHT if rows == 1 else 2.5 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    axes = list(grid.flat)
    for empty in axes[count:]:
        empty.set_visible(False)
    return figure, axes[:count]


def _legend(figure: Figure, findings: Findings, *, forecast: bool) -> None:
    entries = [
        Line2D([], [], color=curve_style(i).light, marker=curve_style(i).mark, markersize=5, label=name)
        for i, name in enumerate(findings.strategies)
    ]
    if forecast:
        entries.append(Line2D([], [], color=INK, marker="*", markersize=11, linestyle="", label="forecast run"))
    figure.legend(handles=entries, loc="outside upper center", ncols=min(len(entries), 4))


def _models_shown(findings: Findings) -> tuple[str, ...]:
    return findings.models[:MOST_PANELS]


def _heard(findings: Findings, models: str) -> Iterator[tuple[Trace, int]]:
    for index, strategy in enumerate(findings.strategies):
        for trace in findings.of(strategy):
            if trace.models == models and trace.points and all(point.unique_hours for point in trace.points):
                yield trace, index


def _sizes(findings: Findings) -> dict[str, float]:
    """Parameters of each pair of models, smallest first; empty where the table does not say."""
    sizes = {trace.models: trace.params for trace in findings.traces}
    recorded = {models: size for models, size in sizes.items() if size}
    return dict(sorted(recorded.items(), key=lambda item: item[1])) if len(recorded) == len(sizes) else {}


def _sequence(count: int) -> list[tuple[float, float, float, float]]:
    low, high = SEQUENCE
    return [mpl.colormaps["viridis"](low + (high - low) * k / max(count - 1, 1)) for k in range(count)]


def _compact(count: float) -> str:
    """1,600,000 as 1.6M."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return f"{count:.0f}"


@contextmanager
def _style(more: dict[Any, Any] | None = None) -> Iterator[None]:
    colours: dict[Any, Any] = {
        **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
        **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), PAPER),
        "grid.color": RULE,
    }
    with mpl.rc_context({**STYLE, **colours, **(more or {})}), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes in a PNG; the SVG has it as text.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield
