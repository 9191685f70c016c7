"""What the results say: fit, predict, compare, recommend. Each verb reads, asks one noun, and prints."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()

Source = Annotated[Path, typer.Argument(help="A study's folder, or a table of runs (CSV, JSON lines, Parquet).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command()
def fit(
    source: Source,
    law: Annotated[str | None, typer.Option(help="Law to fit; by default chosen by the number of budgets.")] = None,
    loss: Annotated[str | None, typer.Option(help="raw_ls, log_ls, log_huber or log_ls_screened (default).")] = None,
    as_json: AsJson = False,
) -> None:
    """Fit error-versus-FLOPs laws, one for each strategy and pair of models. A folder keeps them in fits.json."""
    from analysis.curves import DEFAULT_LOSS, FITS_FILE, fit_curves, store
    from analysis.laws import law_named
    from analysis.losses import loss_named
    from analysis.show import fits_document, fits_text
    from analysis.table import read_table
    from scaling.console import emit

    chosen_law = law_named(law).name if law else None
    curves = fit_curves(read_table(source), law=chosen_law, loss=loss_named(loss or DEFAULT_LOSS).name)
    if source.is_dir():
        store(curves, source / FITS_FILE)
    emit(fits_document(curves), as_json=as_json, text=fits_text(curves))


@app.command()
def predict(
    source: Source,
    flops: Annotated[float, typer.Option(help="Training budget in charged FLOPs.")],
    strategy: Annotated[str | None, typer.Option(help="Strategy; by default the best at this budget.")] = None,
    encoder: Annotated[str | None, typer.Option(help="Encoder; by default the best at this budget.")] = None,
    llm: Annotated[str | None, typer.Option(help="LLM; by default the best at this budget.")] = None,
    as_json: AsJson = False,
) -> None:
    """Predict the CER of one new run, with its interval and how far it extrapolates."""
    from analysis.curves import curves_of
    from analysis.predict import predict as predict_run
    from analysis.show import prediction_text
    from scaling.console import emit

    prediction = predict_run(curves_of(source).best(_positive("--flops", flops), strategy, encoder, llm), flops)
    emit(prediction.as_dict(), as_json=as_json, text=prediction_text(prediction))


@app.command()
def compare(
    source: Source,
    baseline: Annotated[str, typer.Option(help="The strategy that the others are compared with.")],
    flops: Annotated[
        float | None, typer.Option(help="Budget to compare at; by default the largest that both have reached.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare strategies: error saved at equal FLOPs, FLOPs saved at equal error, with intervals."""
    from analysis.compare import compare_all
    from analysis.curves import curves_of
    from analysis.show import comparisons_text
    from scaling.console import emit

    at = None if flops is None else _positive("--flops", flops)
    comparisons = compare_all(curves_of(source), baseline, at)
    emit([one.as_dict() for one in comparisons], as_json=as_json, text=comparisons_text(comparisons))


@app.command()
def recommend(
    source: Source,
    flops: Annotated[float | None, typer.Option(help="What can be spent, in charged FLOPs.")] = None,
    cer: Annotated[float | None, typer.Option(help="The CER wanted, as a fraction.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say how to spend a budget, or what a wanted CER costs: strategy, models, hours, FLOPs of each stage."""
    from analysis.curves import curves_of
    from analysis.recommend import recommend_for_cer, recommend_for_flops
    from analysis.show import recommendation_text
    from analysis.table import read_table
    from scaling.console import emit
    from scaling.errors import InputError

    if (flops is None) == (cer is None):
        raise InputError("recommend: give one of --flops and --cer")
    curves, table = curves_of(source), read_table(source)
    if flops is not None:
        answer = recommend_for_flops(curves, table, _positive("--flops", flops))
    else:
        answer = recommend_for_cer(curves, table, _positive("--cer", cer or 0.0))
    emit(answer.as_dict(), as_json=as_json, text=recommendation_text(answer))


def _positive(option: str, value: float) -> float:
    from math import isfinite

    from scaling.errors import InputError

    if not (isfinite(value) and value > 0.0):
        raise InputError(f"{option}: {value}, expected a positive number")
    return value
