"""`asr-scaling fit`: laws fitted to runs, kept and drawn."""

from pathlib import Path
from typing import Annotated

import typer

from analysis.cli.options import AsJson, ChosenRuns, reads_runs
from scaling.system.console import emit, log
from scaling.system.progress_line import announce_if_slow


@reads_runs
def fit(
    runs: ChosenRuns,
    law: Annotated[str | None, typer.Option(help="Law to fit; by default chosen by the number of budgets.")] = None,
    loss: Annotated[str | None, typer.Option(help="raw_ls, log_ls, log_huber or log_ls_screened (default).")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to keep the fits with their table; a folder keeps them in fits.json.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Where to draw runs and laws: a file such as law.png, law.svg or law.pdf.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fit error-versus-FLOPs laws, one for each strategy and pair of models."""
    from analysis.curves.fits_file import FITS_FILE, new_fits, place_of_fits, write_fits
    from analysis.tables.choice import EVERYTHING
    from analysis.text import fits_document, fits_text
    from scaling.ledger.records import RUNS_FILE

    file = None if out is None else place_of_fits(out, runs.source, runs.choice)
    if plot is not None:
        from analysis.report.figures.picture import check_kind, save_picture

        check_kind(plot)
    with announce_if_slow(f"fitting laws to {runs.source}"):
        fits = new_fits(runs.source, runs.choice, law, loss)
    if plot is not None:
        save_picture(fits, plot)
        log(f"{plot}: the picture is written")
    if file is not None:
        write_fits(fits.curves, file, fits.table)
        log(f"{file}: the fits are written, with their table")
    elif runs.choice == EVERYTHING and fits.table.path == runs.source / RUNS_FILE:
        write_fits(fits.curves, runs.source / FITS_FILE)
    emit(fits_document(fits.curves) if as_json else fits_text(fits.curves))
