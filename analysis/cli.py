"""What the results say: fit, predict, compare, recommend. Each verb reads, asks one noun, and prints."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analysis.curves.coverage import Coverage
    from analysis.curves.curves import Curve
    from analysis.tables.table import Table

app = typer.Typer()

LARGEST = 1e40
"""Of the numbers that can be asked about: beyond any FLOPs, parameters or tokens, and far from a float's end."""

Source = Annotated[
    Path, typer.Argument(help="A study's folder, a table (CSV, JSON lines, Parquet), or wandb:ENTITY/PROJECT.")
]
Columns = Annotated[
    str | None, typer.Option(help="Where the law's columns are in the table: N=params,D=tokens,y=loss.")
]
Where = Annotated[str | None, typer.Option(help="Rows to use: an expression such as 'budget <= 3e20 and seed == 0'.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command()
def fit(
    source: Source,
    law: Annotated[str | None, typer.Option(help="Law to fit; by default chosen by the number of budgets.")] = None,
    loss: Annotated[str | None, typer.Option(help="raw_ls, log_ls, log_huber or log_ls_screened (default).")] = None,
    columns: Columns = None,
    where: Where = None,
    out: Annotated[Path | None, typer.Option(help="Where to keep the fits; a folder keeps them in fits.json.")] = None,
    as_json: AsJson = False,
) -> None:
    """Fit error-versus-FLOPs laws, one for each strategy and pair of models."""
    from analysis.curves.curves import DEFAULT_LOSS, fit_curves
    from analysis.curves.fits_file import FITS_FILE, write_fits
    from analysis.fitting.laws import law_named
    from analysis.fitting.losses import loss_named
    from analysis.text import fits_document, fits_text
    from scaling.ledger.records import RUNS_FILE
    from scaling.system.console import emit
    from scaling.system.progress_line import announce_if_slow

    chosen_law = law_named(law).name if law else None
    table = _table(source, columns, where)
    with announce_if_slow(f"fitting laws to {source}"):
        curves = fit_curves(table, law=chosen_law, loss=loss_named(loss or DEFAULT_LOSS).name)
    if out is not None:
        write_fits(curves, out)
    elif table.path == source / RUNS_FILE and columns is None and where is None:
        write_fits(curves, source / FITS_FILE)
    emit(fits_document(curves) if as_json else fits_text(curves))


@app.command()
def predict(
    source: Annotated[Path, typer.Argument(help="A study's folder, a table of runs, or a file of `fit --out`.")],
    flops: Annotated[float | None, typer.Option(help="Training budget in charged FLOPs.")] = None,
    at: Annotated[str | None, typer.Option(help="The law's columns, such as N=7e9,D=4e12.")] = None,
    rows: Annotated[
        Path | None, typer.Option("--table", help="A table with the law's columns, one row a point.")
    ] = None,
    columns: Columns = None,
    strategy: Annotated[str | None, typer.Option(help="Strategy; by default the best at this budget.")] = None,
    encoder: Annotated[str | None, typer.Option(help="Encoder; by default the best at this budget.")] = None,
    llm: Annotated[str | None, typer.Option(help="LLM; by default the best at this budget.")] = None,
    as_json: AsJson = False,
) -> None:
    """Predict the error of one new run, with its intervals and how far it extrapolates."""
    from analysis.curves.fits_file import curves_of
    from analysis.curves.predict import predict as predict_run
    from analysis.curves.predict import predict_rows
    from analysis.text import prediction_text, rows_text
    from scaling.errors import InputError
    from scaling.system.console import emit
    from scaling.system.progress_line import announce_if_slow

    if sum(option is not None for option in (flops, at, rows)) != 1:
        raise InputError("predict: give one of --flops, --at and --table")
    with announce_if_slow(f"fitting laws to {source}"):
        curves = curves_of(source)
    if flops is not None:
        prediction = predict_run(curves.best(_positive("--flops", flops), strategy, encoder, llm), flops)
        emit(prediction.as_dict() if as_json else prediction_text(prediction))
        return
    curve = curves.only(strategy, encoder, llm)
    if at is not None:
        predictions = predict_rows(curve, _points(curve, _pairs("--at", at)))
        emit(predictions[0].as_row() if as_json else rows_text(predictions))
    elif rows is not None:
        predictions = predict_rows(curve, _points_of_table(curve, _table(rows, columns, None), curves.named))
        emit([prediction.as_row() for prediction in predictions] if as_json else rows_text(predictions))


@app.command()
def laws(
    source: Source,
    flops: Annotated[float | None, typer.Option(help="Where to ask every law, in charged FLOPs.")] = None,
    at: Annotated[str | None, typer.Option(help="Where to ask every law, in its columns: N=7e9,D=4e12.")] = None,
    columns: Columns = None,
    where: Where = None,
    strategy: Annotated[str | None, typer.Option(help="Strategy, where the table has several.")] = None,
    as_json: AsJson = False,
) -> None:
    """Choose a law by how well it forecast larger budgets from smaller ones; show how far the answer moves."""
    from analysis.curves.curves import points_of_curve
    from analysis.fitting.model_selection import answer_range, candidates
    from analysis.text import laws_document, laws_text
    from scaling.system.console import emit
    from scaling.system.progress_line import announce_if_slow

    place = {"C": _positive("--flops", flops)} if flops is not None else None
    if at is not None:
        place = {name: _number("--at", name, text) for name, text in _pairs("--at", at).items()}
    table = _table(source, columns, where)
    points, errors, weights = points_of_curve(table, strategy, tuple(place) if place else ("C",))
    with announce_if_slow("fitting every law, and forecasting larger budgets from smaller ones"):
        found = candidates(points, errors, weights, at=place)
    emit(laws_document(found, answer_range(found)) if as_json else laws_text(found, answer_range(found)))


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
    from analysis.comparing.compare import compare_all
    from analysis.curves.fits_file import curves_of
    from analysis.tables.table import read_table
    from analysis.text import comparisons_text
    from scaling.system.console import emit
    from scaling.system.progress_line import announce_if_slow

    at = None if flops is None else _positive("--flops", flops)
    with announce_if_slow(f"fitting laws to {source}"):
        curves = curves_of(source)
    with announce_if_slow(f"comparing {len(curves.strategies)} strategies"):
        comparisons = compare_all(curves, baseline, at, read_table(source))
    emit([one.as_dict() for one in comparisons] if as_json else comparisons_text(comparisons))


@app.command()
def recommend(
    source: Source,
    flops: Annotated[float | None, typer.Option(help="What can be spent, in charged FLOPs.")] = None,
    cer: Annotated[float | None, typer.Option(help="The CER wanted, as a fraction.")] = None,
    usd: Annotated[float | None, typer.Option(help="What can be spent, in dollars on --hardware.")] = None,
    device_hours: Annotated[float | None, typer.Option(help="What can be spent, in hours of one --hardware.")] = None,
    hardware: Annotated[str | None, typer.Option(help="Device to price by, such as h100-sxm.")] = None,
    lifetime_hours: Annotated[
        float, typer.Option(help="Hours of audio to recognise over the model's life; FLOPs for them are counted in.")
    ] = 0.0,
    study: Annotated[Path | None, typer.Option(help="Write the recommended runs as a study file here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say how to spend a budget, or what a wanted CER costs: strategy, models, hours, FLOPs of each stage; the best
    sizes and shares where the runs identify them.
    """
    from analysis.curves.fits_file import curves_of
    from analysis.recommending.budgets import flops_of_hours, flops_of_usd
    from analysis.recommending.recommend import recommend_for_cer, recommend_for_flops
    from analysis.tables.table import read_table
    from analysis.text import recommendation_text
    from scaling.cost.hardware import find_hardware
    from scaling.errors import InputError
    from scaling.system.console import emit
    from scaling.system.progress_line import announce_if_slow

    if sum(option is not None for option in (flops, cer, usd, device_hours)) != 1:
        raise InputError("recommend: give one of --flops, --cer, --usd and --device-hours")
    device = None if hardware is None else find_hardware(hardware)
    if device is None and (usd is not None or device_hours is not None):
        raise InputError("recommend: --usd and --device-hours need --hardware")
    if device is not None and usd is not None:
        flops = flops_of_usd(_positive("--usd", usd), device)
    if device is not None and device_hours is not None:
        flops = flops_of_hours(_positive("--device-hours", device_hours), device)
    if not 0.0 <= lifetime_hours < float("inf"):
        raise InputError(f"--lifetime-hours: {lifetime_hours}, expected zero or more hours")
    with announce_if_slow(f"fitting laws to {source}"):
        curves, table = curves_of(source), read_table(source)
    with announce_if_slow("choosing a strategy and models"):
        if flops is not None:
            answer = recommend_for_flops(curves, table, _positive("--flops", flops), device, lifetime_hours)
        else:
            answer = recommend_for_cer(curves, table, _positive("--cer", cer or 0.0), device, lifetime_hours)
    if study is not None:
        from analysis.recommending.next_study import write_next_study

        write_next_study(source, answer, study)
    emit(answer.as_dict() if as_json else recommendation_text(answer))


@app.command()
def forecast(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A study's folder, with forecast runs in forecast/.")],
    as_json: AsJson = False,
) -> None:
    """Hold the fits against runs they have not seen: prediction, interval and truth side by side."""
    from analysis.curves.fits_file import curves_of
    from analysis.curves.forecast_check import check_forecasts, forecasts_text
    from scaling.system.console import emit
    from scaling.system.progress_line import announce_if_slow

    with announce_if_slow(f"fitting laws to {folder}"):
        found = check_forecasts(curves_of(folder), folder)
    emit([one.as_dict() for one in found] if as_json else forecasts_text(found))


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A study's folder.")],
    as_json: AsJson = False,
) -> None:
    """Write DIR/report.html and DIR/figures: what the study says, with a figure that answers for any budget."""
    from analysis.report.report import write_report
    from scaling.system.console import emit

    written = write_report(folder)
    emit(written.as_dict() if as_json else str(written.path))


@app.command()
def frontier(
    source: Source,
    columns: Columns = None,
    where: Where = None,
    as_json: AsJson = False,
) -> None:
    """Find the best model size of each budget (columns N, C and y) and where it moves with compute, with intervals."""
    import numpy as np

    from analysis.notes import as_document
    from analysis.recommending.isoflop_frontier import frontier as find
    from analysis.tables.points import points_of
    from analysis.text import frontier_text
    from scaling.system.console import emit
    from scaling.system.progress_line import announce_if_slow

    points, _ = points_of(_table(source, columns, where), ("C", "N"))
    flops, sizes = (np.array([point.columns[name] for point in points]) for name in ("C", "N"))
    with announce_if_slow("finding the best size of each budget"):
        found = find(flops, sizes, np.array([point.cer for point in points]))
    emit(as_document(found) if as_json else frontier_text(found))


@app.command()
def coverage(
    source: Source,
    flops: Annotated[float | None, typer.Option(help="Where to ask; by default ten times the largest budget.")] = None,
    strategy: Annotated[str | None, typer.Option(help="Strategy; by default every one.")] = None,
    sets: Annotated[int, typer.Option(help="Repetitions.")] = 200,
    as_json: AsJson = False,
) -> None:
    """Repeat a study's design on its own fitted laws: how often does each interval hold the truth, and how wide is
    it?
    """
    from analysis.curves.coverage import coverage as repeat
    from analysis.curves.curves import FAR
    from analysis.curves.fits_file import curves_of
    from analysis.text import coverage_text
    from scaling.system.console import emit
    from scaling.system.progress_line import announce_if_slow

    at = None if flops is None else _positive("--flops", flops)
    with announce_if_slow(f"fitting laws to {source}"):
        curves = [curve for curve in curves_of(source).of(strategy) if curve.fit is not None]
    found: list[Coverage] = []
    for curve in curves:
        with announce_if_slow(
            f"repeating the design of {curve.label} {sets} times ({len(found) + 1} of {len(curves)} curves)"
        ):
            found.append(repeat(curve, at or FAR * curve.largest_flops, sets))
    emit([one.as_dict() for one in found] if as_json else coverage_text(found))


@app.command()
def design(
    source: Source,
    flops: Annotated[float, typer.Option(help="The target: the budget whose error must be known.")],
    spend: Annotated[float, typer.Option(help="What the next runs may cost together, in charged FLOPs.")],
    strategy: Annotated[str | None, typer.Option(help="Strategy; by default the best at the target.")] = None,
    runs: Annotated[int, typer.Option(help="The most runs.")] = 96,
    as_json: AsJson = False,
) -> None:
    """Propose the next runs: those that shrink the interval of the error at a target most for their FLOPs."""
    from analysis.curves.fits_file import curves_of
    from analysis.recommending.next_runs import propose
    from analysis.text import proposal_text
    from scaling.system.console import emit
    from scaling.system.progress_line import announce_if_slow

    with announce_if_slow(f"fitting laws to {source}"):
        curve = curves_of(source).best(_positive("--flops", flops), strategy)
    with announce_if_slow(f"trying designs of up to {runs} runs"):
        proposal = propose(curve, flops, _positive("--spend", spend), runs)
    emit(proposal.as_dict() if as_json else proposal_text(proposal))


@app.command()
def score(
    hypotheses: Annotated[Path, typer.Argument(metavar="HYP", help="JSON lines, or lines of an id and a text.")],
    references: Annotated[
        Path | None, typer.Argument(metavar="REF", help="As HYP; without it, HYP holds `ref` and `hyp`.")
    ] = None,
    scoring: Annotated[str, typer.Option(help="plain, whisper-english, whisper-basic, mandarin or wenet.")] = "plain",
    as_json: AsJson = False,
) -> None:
    """Score transcripts as runs are scored: CER and WER of each test set and together, with intervals over speakers."""
    from analysis.tables.scores import score_files, scores_text
    from scaling.system.console import emit
    from scaling.system.progress_line import announce_if_slow

    with announce_if_slow(f"scoring {hypotheses}"):
        scores = score_files(hypotheses, references, scoring)
    emit(scores.as_dict() if as_json else scores_text(scores))


def _positive(option: str, value: float) -> float:
    from scaling.errors import InputError

    if not 0.0 < value < LARGEST:
        raise InputError(f"{option}: {value}, expected a positive number below {LARGEST:g}")
    return value


def _table(source: Path, columns: str | None, where: str | None) -> "Table":
    from analysis.tables.points import COUNTED_IN, SOURCE
    from analysis.tables.row_filter import select_rows
    from analysis.tables.table import read_table
    from scaling.system.progress_line import announce_if_slow

    with announce_if_slow(f"reading {source}"):
        table = read_table(source)
    if where is not None:
        table = select_rows(table, where)
    if columns is not None:
        named = {SOURCE.get(name, name): column for name, column in _pairs("--columns", columns).items()}
        counted = COUNTED_IN.get(named.get(SOURCE["y"], ""), {})
        table = table.renamed({new: old for new, old in counted.items() if old in table.names} | named)
    return table


def _pairs(option: str, text: str) -> dict[str, str]:
    from scaling.errors import InputError

    pairs = [part.partition("=") for part in text.split(",")]
    if not all(name.strip() and sign and value.strip() for name, sign, value in pairs):
        raise InputError(f"{option} {text!r}: expected NAME=VALUE, separated by commas")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _number(option: str, name: str, text: str) -> float:
    from scaling.errors import InputError

    try:
        return _positive(f"{option} {name}", float(text))
    except ValueError:
        raise InputError(f"{option} {name}: {text!r}, expected a positive number") from None


def _points(curve: "Curve", pairs: dict[str, str]) -> dict[str, list[float]]:
    from scaling.errors import InputError, nearest

    wanted = list(curve.domain)
    for name, text in pairs.items():
        if name not in wanted:
            raise InputError(f"--at: the law has no column {name!r}{nearest(name, wanted)}")
        _number("--at", name, text)
    missing = [name for name in wanted if name not in pairs]
    if missing:
        raise InputError(f"--at: {', '.join(missing)} missing; the law needs {', '.join(wanted)}")
    return {name: [float(pairs[name])] for name in wanted}


def _points_of_table(curve: "Curve", table: "Table", named: "Mapping[str, str]") -> dict[str, list[float]]:
    """The law's columns of a table: under their own names, as runs have them, or as the fitted table had them."""
    from analysis.tables.points import SOURCE

    points = {}
    for name in curve.domain:
        source = SOURCE.get(name, name)
        column = next((one for one in (name, source, named.get(source, name)) if one in table.names), name)
        table.require(column)
        points[name] = [table.number(i, column) for i in range(len(table.rows))]
    return points
