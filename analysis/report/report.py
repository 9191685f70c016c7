"""A study's report: its figures and one page."""

import os
from dataclasses import dataclass
from pathlib import Path

from analysis.report.findings import findings_of
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


def write_report(folder: Path) -> Report:
    """Write `folder`/report.html and `folder`/figures from `folder`/runs.jsonl (and its forecast/, if there is one).

    The same runs give the same bytes. Raises InputError where there are no runs or matplotlib is missing, before
    anything is written.
    """
    from analysis.report.figures.canvas import COLUMN, as_svg, save
    from analysis.report.figures.draw import draw
    from analysis.report.page.document import page

    findings = findings_of(folder)
    figures_folder = folder / FIGURES_FOLDER
    with announce_if_slow(f"drawing {figures_folder}"):
        figures = draw(findings)
        figures_folder.mkdir(exist_ok=True)
        saved = {name: save(name, figure, figures_folder) for name, figure in figures.items()}
        narrow = {name: as_svg(f"{name}_narrow", figure) for name, figure in draw(findings, COLUMN).items()}
    wide = {name: as_svg(name, figure) for name, figure in figures.items()}
    text = page(findings, {name: (wide[name], narrow[name]) for name in figures})
    draft = folder / f".{REPORT_FILE}.{os.getpid()}"
    draft.write_text(text, encoding="utf-8")
    draft.replace(folder / REPORT_FILE)
    return Report(path=folder / REPORT_FILE, figures=tuple(path for paths in saved.values() for path in paths))
