"""Every figure that the data allow."""

from collections.abc import Callable

from matplotlib.figure import Figure

from analysis.report.figures.canvas import PAGE, Layout, style
from analysis.report.figures.error_by_flops import error_by_flops
from analysis.report.figures.error_by_hours import error_by_hours
from analysis.report.figures.error_by_size import error_by_size
from analysis.report.figures.learning_curves import learning_curves
from analysis.report.figures.residuals import residuals
from analysis.report.findings import Findings

PAINTERS: dict[str, Callable[[Findings, Layout], Figure | None]] = {
    "cer_by_flops": error_by_flops,
    "cer_by_model_size": error_by_size,
    "cer_by_unique_hours": error_by_hours,
    "residuals": residuals,
    "learning_curves": learning_curves,
}


def draw(findings: Findings, layout: Layout = PAGE) -> dict[str, Figure]:
    """Figures by the name of their files; what the runs do not record is left out."""
    with style():
        drawn = {name: paint(findings, layout) for name, paint in PAINTERS.items()}
    return {name: figure for name, figure in drawn.items() if figure is not None}
