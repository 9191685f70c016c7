"""A study's report: its figures and one page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.report.findings import findings_of, name_of
from analysis.tables.choice import EVERYTHING, Choice
from scaling.errors import InputError
from scaling.system.atomic_files import write_text_atomically
from scaling.system.contained_files import InnerFiles
from scaling.system.progress_line import announce_if_slow

REPORT_FILE = "report.html"
FIGURES_FOLDER = "figures"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The page (`path`) and the figures that were written."""

    path: Path
    figures: tuple[Path, ...]

    def as_dict(self) -> dict[str, object]:
        """As `report --json` prints it."""
        return {"report": str(self.path), "figures": [str(figure) for figure in self.figures]}


def write_report(
    source: Path,
    out: Path | None = None,
    choice: Choice = EVERYTHING,
    *,
    beside: Sequence[Path] = (),
    examples: int = 0,
) -> Report:
    """Write report.html and figures/ of a study (and of its forecast/, if there is one) or of any table into `out`: by
    default the study's folder, and for a table a folder of its name in the working directory.

    Curves of the studies or tables `beside` are drawn in the same figure of the page, and as many `examples` of
    transcripts are shown. The same runs give the same bytes. Raises InputError where there are no runs, no transcripts
    to show or no matplotlib, before anything is written, and where `out` is a file.
    """
    from analysis.report.figures.canvas import COLUMN, as_svg, save
    from analysis.report.figures.draw import draw
    from analysis.report.page.document import page
    from analysis.report.transcript_examples import examples_of

    folder = out or (source if source.is_dir() else Path(f"{name_of(source)}-report"))
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder}: a file; expected a folder, or a new name for one")
    findings = findings_of(source, choice)
    others = [findings_of(other) for other in beside]
    shown = examples_of(findings, source, examples)
    figures_folder = folder / FIGURES_FOLDER
    with announce_if_slow(f"drawing {figures_folder}"):
        figures = draw(findings)
        InnerFiles(folder).make_folder(FIGURES_FOLDER)
        saved = {name: save(name, figure, figures_folder) for name, figure in figures.items()}
        narrow = {name: as_svg(f"{name}_narrow", figure) for name, figure in draw(findings, COLUMN).items()}
    wide = {name: as_svg(name, figure) for name, figure in figures.items()}
    text = page(findings, {name: (wide[name], narrow[name]) for name in figures}, others, shown)
    write_text_atomically(folder / REPORT_FILE, text)
    return Report(path=folder / REPORT_FILE, figures=tuple(path for paths in saved.values() for path in paths))
