"""A study's report: its figures and one page."""

from dataclasses import dataclass
from pathlib import Path

from analysis.report.findings import findings_of, name_of
from analysis.tables.choice import EVERYTHING, Choice
from scaling.errors import InputError
from scaling.system.atomic_files import write_text_atomically
from scaling.system.inner_files import InnerFiles
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


def write_report(source: Path, out: Path | None = None, choice: Choice = EVERYTHING) -> Report:
    """Write report.html and figures/ of a study (and of its forecast/, if there is one) or of any table into `out`: by
    default the study's folder, and for a table a folder of its name in the working directory.

    The same runs give the same bytes. Raises InputError where there are no runs or matplotlib is missing, before
    anything is written, and where `out` is a file.
    """
    from analysis.report.figures import draw, save
    from analysis.report.page.document import page

    folder = out or (source if source.is_dir() else Path(f"{name_of(source)}-report"))
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder}: a file; expected a folder, or a new name for one")
    findings = findings_of(source, choice)
    figures_folder = folder / FIGURES_FOLDER
    with announce_if_slow(f"drawing {figures_folder}"):
        figures = draw(findings)
        InnerFiles(folder).make_folder(FIGURES_FOLDER)
        saved = {name: save(name, figure, figures_folder) for name, figure in figures.items()}
    text = page(findings, {name: svg.read_text(encoding="utf-8") for name, (_, svg) in saved.items()})
    write_text_atomically(folder / REPORT_FILE, text)
    return Report(path=folder / REPORT_FILE, figures=tuple(path for paths in saved.values() for path in paths))
