"""How the error fell while each run was trained, a colour a budget."""

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.report.figures.axes import error_axis, flops_axis, power
from analysis.report.figures.canvas import MOST_PANELS, Layout, legend_of_budgets, panels
from analysis.report.findings import Findings
from analysis.report.palette import budget_styles


def learning_curves(findings: Findings, layout: Layout) -> Figure | None:
    """Learning curves of all runs, a panel a strategy; None where the study's ledger does not have them."""
    learning = findings.learning
    if learning is None:
        return None
    colours = {
        budget: style.light
        for budget, style in zip(findings.budgets, budget_styles(len(findings.budgets)), strict=True)
    }
    shown = [curve for curve in learning.curves if curve.budget in colours]
    told = {curve.strategy for curve in shown}
    strategies = [name for name in findings.strategies if name in told][:MOST_PANELS]
    if not strategies:
        return None
    figure, axes = panels(len(strategies), layout)
    for ax, strategy in zip(axes, strategies, strict=True):
        for curve in shown:
            if curve.strategy == strategy:
                flops, values = zip(*curve.points, strict=True)
                ax.plot(flops, values, color=colours[curve.budget], linewidth=1.0)
        ax.set_title(strategy, loc="left")
    flops_axis(axes[0], "FLOPs charged so far")
    error_axis(axes[0], [value for curve in shown for _, value in curve.points], learning.axis)
    entries = [Line2D([], [], color=colours[budget], label=f"{power(budget)} FLOPs") for budget in reversed(colours)]
    legend_of_budgets(figure, entries, layout)
    return figure
