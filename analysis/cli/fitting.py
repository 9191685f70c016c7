"""Laws: fitting them, choosing one, predicting from them, holding them against runs that they have not seen."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from analysis.cli.options import AsJson, PositiveOption, Runs, reads_runs
from scaling.errors import InputError
from scaling.system.console import emit, log
from scaling.system.progress_line import announce_if_slow


@reads_runs
def fit(
    runs: Runs,
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


@reads_runs
def predict(
    runs: Runs,
    flops: Annotated[float | None, PositiveOption(help="Training budget in charged FLOPs.")] = None,
    at: Annotated[str | None, typer.Option(help="The law's columns, such as N=7e9,D=4e12.")] = None,
    rows: Annotated[
        Path | None, typer.Option("--table", help="A table with the law's columns, one row a point.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Predict the error of one new run, with its intervals and how far it extrapolates; by default of the strategy and
    models that are best at this budget.
    """
    from analysis.cli.places import law_columns_in, law_columns_of_table, named_numbers
    from analysis.curves.places import places
    from analysis.curves.predict import predict as predict_run
    from analysis.curves.predict import predict_rows
    from analysis.text import prediction_text, rows_text

    if sum(option is not None for option in (flops, at, rows)) != 1:
        raise InputError("predict: give one of --flops, --at and --table")
    place = {} if at is None else named_numbers("--at", at)
    fits = runs.fits_at(place if rows is None else law_columns_in(rows, runs.choice.columns))
    curves = fits.curves
    if flops is not None:
        prediction = predict_run(curves.best(flops), flops)
        emit(prediction.as_dict() if as_json else prediction_text(prediction, fits.error_name))
        return
    curve = curves.only()
    if at is not None:
        predictions = predict_rows(curve, places(curve, "--at", {name: [value] for name, value in place.items()}))
        emit(predictions[0].as_row() if as_json else rows_text(predictions, fits.error_name))
    elif rows is not None:
        predictions = predict_rows(curve, law_columns_of_table(curve, rows, runs.choice.columns, curves.named))
        text = rows_text(predictions, fits.error_name)
        emit([prediction.as_row() for prediction in predictions] if as_json else text)


@reads_runs
def laws(
    runs: Runs,
    flops: Annotated[float | None, PositiveOption(help="Where to ask every law, in charged FLOPs.")] = None,
    at: Annotated[str | None, typer.Option(help="Where to ask every law, in its columns: N=7e9,D=4e12.")] = None,
    as_json: AsJson = False,
) -> None:
    """Choose a law by how well it forecast larger budgets from smaller ones; show how far the answer moves."""
    from analysis.cli.places import named_numbers
    from analysis.curves.curve_fitting import points_of_curve
    from analysis.fitting.model_selection import answer_range, ranked_laws
    from analysis.text import laws_document, laws_text

    place = None if flops is None else {"C": flops}
    if at is not None:
        place = named_numbers("--at", at)
    law_columns = tuple(place) if place else ("C",)
    points, errors, weights, notes = points_of_curve(runs.table(law_columns), law_columns, runs.choice)
    with announce_if_slow("fitting every law, and forecasting larger budgets from smaller ones"):
        ranked = ranked_laws(points, errors, weights, at=place)
    print_laws = laws_document if as_json else laws_text
    emit(print_laws(ranked, answer_range(ranked), notes))


@reads_runs
def frontier(runs: Runs, as_json: AsJson = False) -> None:
    """Find the best model size of each budget (columns N, C and y) and where it moves with compute, with intervals; of
    one strategy.
    """
    import numpy as np

    from analysis.notes import as_document
    from analysis.recommending.isoflop_frontier import frontier as find_frontier
    from analysis.tables.seed_averaged_points import points_of
    from analysis.text import frontier_text

    points, notes = points_of(runs.choice.rows_of_curves(runs.table(("C", "N"))), ("C", "N"))
    strategies = dict.fromkeys(point.strategy for point in points)
    if len(strategies) > 1:
        names = ", ".join(strategies)
        raise InputError(f"frontier: which of {names}? Give --strategy, or --group none for one frontier through all")
    flops, sizes = (np.array([point.columns[name] for point in points]) for name in ("C", "N"))
    with announce_if_slow("finding the best size of each budget"):
        answer = find_frontier(flops, sizes, np.array([point.cer for point in points]))
    answer = replace(answer, warnings=(*notes, *answer.warnings))
    emit(as_document(answer) if as_json else frontier_text(answer))
