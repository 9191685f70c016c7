"""`asr-scaling report`: a page of all that the runs say."""

from pathlib import Path
from typing import Annotated

import typer

from analysis.cli.options import AsJson, ChosenRuns, reads_runs
from scaling.system.console import emit


@reads_runs
def report(
    runs: ChosenRuns,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write to; by default the study's own, and NAME-report for a table called NAME."),
    ] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option(metavar="SOURCE", help="Another study, or table, to draw in the same figure; may be repeated."),
    ] = None,
    examples: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="Test utterances to show with what the runs wrote for them; texts may be private."
        ),
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Write report.html and figures/: what the runs say, with a figure that answers for any budget."""
    from analysis.report.report import write_report

    written = write_report(runs.source, out, runs.choice, beside=beside or (), examples=examples)
    emit(written.as_dict() if as_json else str(written.path))
