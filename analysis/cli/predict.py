"""`asr-scaling predict`: the error of one new run."""

from pathlib import Path
from typing import Annotated

import typer

from analysis.cli.options import AsJson, ChosenRuns, PositiveOption, reads_runs
from scaling.errors import InputError
from scaling.system.console import emit


@reads_runs
def predict(
    runs: ChosenRuns,
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
    from analysis.cli.option_texts import law_columns_in, law_columns_of_table, named_numbers
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
