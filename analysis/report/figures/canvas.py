"""What all figures share: size, style, panels of equal axes, how they are saved. Without matplotlib this says so."""

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.report.palette import INK, PAPER, RULE
from scaling.errors import InputError

try:
    import matplotlib as mpl
    from matplotlib.figure import Figure
except ImportError:
    raise InputError(
        "report: figures need matplotlib, which is not installed: pip install 'asr-scaling[plot]'"
    ) from None

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True)
class Layout:
    """Width of a figure and height of its single row, in inches, and how many panels stand side by side."""

    width: float
    height: float
    columns: int

    def row_height(self, rows: int) -> float:
        """Height of one of several rows, in inches."""
        return self.height if rows == 1 else 0.74 * self.height


PAGE = Layout(7.2, 3.4, 3)
"""The width of a page of a paper between its margins."""
COLUMN = Layout(3.5, 3.0, 1)
"""The width of one of two columns, and of a phone."""

MOST_PANELS = 9
"""A figure with more panels than this cannot be read; the page shows the rest."""
PNG_DOTS_PER_INCH = 200
KINDS = ("png", "svg", "pdf")
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
    "pdf.fonttype": 42,
    "text.parse_math": False,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), PAPER),
    "grid.color": RULE,
}
"""Settings of matplotlib for every figure; names in the data are text and never mathematics, in a PDF too."""


def panels(count: int, layout: Layout) -> tuple[Figure, list["Axes"]]:
    """A figure with `count` panels of equal axes."""
    columns = min(count, layout.columns)
    rows = -(-count // columns)
    size = layout.width, rows * layout.row_height(rows)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    axes = list(grid.flat)
    for empty in axes[count:]:
        empty.set_visible(False)
    return figure, axes[:count]


def legend(figure: Figure, entries: Sequence[Any], layout: Layout) -> None:
    """The legend above the panels."""
    figure.legend(handles=entries, loc="outside upper center", ncols=min(len(entries), layout.columns + 1))


def legend_of_budgets(figure: Figure, entries: Sequence[Any], layout: Layout) -> None:
    """A legend of many short entries: beside the panels, or above them where they fill the width."""
    beside = layout.columns > 1
    where: dict[str, Any] = {"loc": "outside right upper"} if beside else {"loc": "outside upper center", "ncols": 2}
    figure.legend(handles=entries, **where)


def save(name: str, figure: Figure, folder: Path) -> tuple[Path, ...]:
    """Write `folder`/name in each of `KINDS`, the same bytes each time; their paths."""
    metadata: dict[str, dict[str, Any]] = {
        "png": {"Software": None},
        "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    }
    with style({"svg.hashsalt": name}):
        for kind in KINDS:
            (folder / f"{name}.{kind}").unlink(missing_ok=True)  # it may be a link to somebody else's file
            figure.savefig(folder / f"{name}.{kind}", dpi=PNG_DOTS_PER_INCH, metadata=metadata[kind])
    return tuple(folder / f"{name}.{kind}" for kind in KINDS)


def as_svg(name: str, figure: Figure) -> str:
    """The figure as the text of an SVG, the same each time."""
    text = io.StringIO()
    with style({"svg.hashsalt": name}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


@contextmanager
def style(more: dict[Any, Any] | None = None) -> Iterator[None]:
    """The settings of matplotlib under which figures are drawn and saved."""
    with mpl.rc_context({**STYLE, **(more or {})}), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes in a PNG and a PDF; the SVG has it as text.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield
