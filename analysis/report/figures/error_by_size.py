"""CER against the size of the models, a line a budget: which size pays at which budget."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from analysis.report.figures.axes import error_axis, power
from analysis.report.figures.canvas import MOST_PANELS, STYLE, Layout, legend_of_budgets, panels
from analysis.report.figures.marks import draw_seeds, errors_of
from analysis.report.findings import Findings
from analysis.report.palette import CURVE_STYLES, INK, budget_styles

LINES: tuple[Any, ...] = ("-", (0, (4, 2)), (0, (1, 1.5)), (0, (4, 1.5, 1, 1.5)))
"""Dashes of the families of pairs."""
READABLE = 1.15
"""Marks on the axis closer than this factor would run into each other."""


@dataclass(frozen=True, slots=True)
class ModelFamily:
    """Pairs of models that have one part in common, `name`, smallest first: a line joins them."""

    name: str
    sizes: Mapping[str, float]


def error_by_size(findings: Findings, layout: Layout) -> Figure | None:
    """CER over parameters, a panel a strategy, a line a budget and family; None where the table tells no two sizes."""
    families = families_of(findings)
    sizes = sorted({size for family in families for size in family.sizes.values()})
    if len(sizes) < 2:
        return None
    strategies = findings.strategies[:MOST_PANELS]
    budgets = findings.budgets
    colours = [style.light for style in budget_styles(len(budgets))]
    figure, axes = panels(len(strategies), layout)
    for ax, strategy in zip(axes, strategies, strict=True):
        points = {
            (findings.budget(point), trace.models): point for trace in findings.of(strategy) for point in trace.points
        }
        for budget, colour in zip(budgets, colours, strict=True):
            for k, family in enumerate(families):
                line = [(size, points[budget, pair]) for pair, size in family.sizes.items() if (budget, pair) in points]
                x, y = [size for size, _ in line], [point.mean.cer for _, point in line]
                ax.plot(x, y, color=colour, marker=_mark(k), linestyle=LINES[k % len(LINES)], markersize=4)
                for size, point in line:
                    draw_seeds(ax, size, point, colour)
        ax.set_title(strategy, loc="left")
    axes[0].set_xscale("log")
    figure.supxlabel("parameters of encoder and LLM", fontsize=STYLE["axes.labelsize"])
    marked = sizes[:1] + [size for last, size in pairwise(sizes) if size > READABLE * last]
    axes[0].set_xticks(marked, [_compact(size) for size in marked])
    axes[0].xaxis.set_minor_locator(NullLocator())
    axes[0].margins(x=0.12)
    error_axis(axes[0], errors_of(findings.traces, laws=False), findings.error_name)
    _legend(figure, families, dict(zip(budgets, colours, strict=True)), layout)
    return figure


def families_of(findings: Findings) -> tuple[ModelFamily, ...]:
    """Pairs grouped by the part, encoder or LLM, of which there are fewer; none where the table does not tell sizes."""
    pairs = {trace.models: trace for trace in findings.traces}
    if any(trace.params is None for trace in pairs.values()):
        return ()
    encoders = {trace.curve.encoder for trace in pairs.values()}
    llms = {trace.curve.llm for trace in pairs.values()}
    by_llm = len(llms) <= len(encoders)
    members: dict[str, dict[str, float]] = {}
    for models in findings.models:
        trace = pairs[models]
        part = trace.curve.llm if by_llm else trace.curve.encoder
        members.setdefault(f"{'LLM' if by_llm else 'encoder'} {part}", {})[models] = trace.params or 0.0
    return tuple(ModelFamily(name, sizes) for name, sizes in members.items())


def _legend(figure: Figure, families: tuple[ModelFamily, ...], colours: Mapping[float, str], layout: Layout) -> None:
    """Budgets by colour, and families of pairs by mark and dashes where there are several."""
    entries: list[Any] = [
        Line2D([], [], color=colour, marker="o", markersize=4, label=f"{power(budget)} FLOPs")
        for budget, colour in reversed(list(colours.items()))
    ]
    if len(families) > 1:
        entries += [
            Line2D([], [], color=INK, marker=_mark(k), linestyle=LINES[k % len(LINES)], markersize=4, label=family.name)
            for k, family in enumerate(families)
        ]
    legend_of_budgets(figure, entries, layout)


def _mark(family: int) -> str:
    return CURVE_STYLES[family % len(CURVE_STYLES)].mark


def _compact(count: float) -> str:
    """1,600,000 as 1.6M."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return f"{count:.0f}"
