"""What the fitted laws leave over: measured over fitted CER."""

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from analysis.report.figures.axes import flops_axis
from analysis.report.figures.canvas import MOST_PANELS, Layout, legend, panels
from analysis.report.figures.marks import draw_point, strategy_entries, within
from analysis.report.findings import Findings
from analysis.report.palette import INK


def residuals(findings: Findings, layout: Layout) -> Figure | None:
    """Measured over fitted CER for every point in a fit, in percent, a panel a pair of models; None without a fit."""
    fitted = {trace.models for trace in findings.traces if trace.curve.fit is not None}
    shown = [models for models in findings.models if models in fitted][:MOST_PANELS]
    if not shown:
        return None
    figure, axes = panels(len(shown), layout)
    for ax, models in zip(axes, shown, strict=True):
        for index, strategy in enumerate(findings.strategies):
            for trace in within(findings.of(strategy), models):
                if trace.curve.fit is None:
                    continue
                for point in trace.points:
                    miss = 100.0 * (point.mean.cer / trace.curve.cer(point.mean.flops) - 1.0)
                    draw_point(ax, point.mean.flops, miss, index, hollow=bool(point.set_aside))
        ax.axhline(0.0, color=INK, linewidth=0.8)
        ax.set_title(models, loc="left")
    flops_axis(axes[0])
    figure.supylabel(f"measured over fitted {findings.error_name}, %", fontsize=9.0)
    axes[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+.3g}" if value else "0"))
    legend(figure, strategy_entries(findings), layout)
    return figure
