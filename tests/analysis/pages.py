"""The page of a report, for tests of what it says: without files of figures, which take longest to write."""

from collections.abc import Sequence

from analysis.report.figures.canvas import as_svg
from analysis.report.figures.draw import draw
from analysis.report.findings import Findings
from analysis.report.page.document import page
from analysis.report.transcript_examples import Example


def page_with_vector_figures(findings: Findings) -> str:
    """The page with all its figures, of which no file is written; for phones they are as wide as for desks."""
    drawn = {name: as_svg(name, figure) for name, figure in draw(findings).items()}
    return page(findings, {name: (svg, svg) for name, svg in drawn.items()})


def page_without_figures(findings: Findings, examples: Sequence[Example] = ()) -> str:
    """Where a page has the figure of its first section, an empty one stands."""
    return page(findings, {"cer_by_flops": ("<svg></svg>", "<svg></svg>")}, examples=examples)
