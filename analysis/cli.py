"""The verbs that say what results mean, such as fit, predict, compare and recommend. Each reads a table, computes one
answer and prints it; what a verb needs is imported inside it, so that the command starts quickly.
"""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaling.errors import InputError
from scaling.system.console import emit, log
from scaling.system.progress_line import announce_if_slow

if TYPE_CHECKING:
    from analysis.curves.curves import Curves

app = typer.Typer()


def _positive(option: typer.CallbackParam, value: float | None) -> float | None:
    """Refuse what is no positive number."""
    from analysis.options import positive

    return None if value is None else positive(option.opts[0], value)


Source = Annotated[
    Path, typer.Argument(help="A study's folder, a table (CSV, JSON lines, Parquet), or wandb:ENTITY/PROJECT.")
]
Columns = Annotated[
    str | None, typer.Option(help="Where the law's columns are in the table: N=params,D=tokens,y=loss.")
]
Where = Annotated[str | None, typer.Option(help="Rows to use: an expression such as 'budget <= 3e20 and seed == 0'.")]
Group = Annotated[
    str | None,
    typer.Option(help="Columns whose values are curves of their own: recipe, or model,recipe; none: one curve."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command()
def fit(
    source: Source,
    law: Annotated[str | None, typer.Option(help="Law to fit; by default chosen by the number of budgets.")] = None,
    loss: Annotated[str | None, typer.Option(help="raw_ls, log_ls, log_huber or log_ls_screened (default).")] = None,
    columns: Columns = None,
    where: Where = None,
    group: Group = None,
    out: Annotated[Path | None, typer.Option(help="Where to keep the fits; a folder keeps them in fits.json.")] = None,
    as_json: AsJson = False,
) -> None:
    """Fit error-versus-FLOPs laws, one for each strategy and pair of models."""
    from analysis.curves.curve_fitting import DEFAULT_LOSS, fit_curves
    from analysis.curves.fits_file import FITS_FILE, write_fits
    from analysis.fitting.laws import law_named
    from analysis.fitting.losses import loss_named
    from analysis.options import chosen_table
    from analysis.text import fits_document, fits_text
    from scaling.ledger.records import RUNS_FILE

    chosen_law = law_named(law) if law else None
    table = chosen_table(source, columns, where, group, chosen_law.columns if chosen_law else ("C",))
    with announce_if_slow(f"fitting laws to {source}"):
        curves = fit_curves(
            table, law=chosen_law.name if chosen_law else None, loss=loss_named(loss or DEFAULT_LOSS).name
        )
    if out is not None:
        write_fits(curves, out)
    elif table.path == source / RUNS_FILE and (columns, where, group) == (None, None, None):
        write_fits(curves, source / FITS_FILE)
    emit(fits_document(curves) if as_json else fits_text(curves))


@app.command()
def predict(
    source: Annotated[Path, typer.Argument(help="A study's folder, a table of runs, or a file of `fit --out`.")],
    flops: Annotated[float | None, typer.Option(callback=_positive, help="Training budget in charged FLOPs.")] = None,
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
    from analysis.curves.predict import predict as predict_run
    from analysis.curves.predict import predict_rows
    from analysis.options import chosen_table, law_columns, law_columns_of_table
    from analysis.text import prediction_text, rows_text

    if sum(option is not None for option in (flops, at, rows)) != 1:
        raise InputError("predict: give one of --flops, --at and --table")
    curves = _curves(source)
    if flops is not None:
        prediction = predict_run(curves.best(flops, strategy, encoder, llm), flops)
        emit(prediction.as_dict() if as_json else prediction_text(prediction))
        return
    curve = curves.only(strategy, encoder, llm)
    if at is not None:
        predictions = predict_rows(curve, law_columns(curve, at))
        emit(predictions[0].as_row() if as_json else rows_text(predictions))
    elif rows is not None:
        predictions = predict_rows(curve, law_columns_of_table(curve, chosen_table(rows, columns, None), curves.named))
        emit([prediction.as_row() for prediction in predictions] if as_json else rows_text(predictions))


@app.command()
def laws(
    source: Source,
    flops: Annotated[
        float | None, typer.Option(callback=_positive, help="Where to ask every law, in charged FLOPs.")
    ] = None,
    at: Annotated[str | None, typer.Option(help="Where to ask every law, in its columns: N=7e9,D=4e12.")] = None,
    columns: Columns = None,
    where: Where = None,
    group: Group = None,
    strategy: Annotated[str | None, typer.Option(help="Strategy, where the table has several.")] = None,
    as_json: AsJson = False,
) -> None:
    """Choose a law by how well it forecast larger budgets from smaller ones; show how far the answer moves."""
    from analysis.curves.curve_fitting import points_of_curve
    from analysis.fitting.model_selection import answer_range, candidates
    from analysis.options import chosen_table, named_numbers
    from analysis.text import laws_document, laws_text

    place = None if flops is None else {"C": flops}
    if at is not None:
        place = named_numbers("--at", at)
    law_columns = tuple(place) if place else ("C",)
    table = chosen_table(source, columns, where, group, law_columns)
    points, errors, weights, notes = points_of_curve(table, strategy, law_columns)
    with announce_if_slow("fitting every law, and forecasting larger budgets from smaller ones"):
        ranked = candidates(points, errors, weights, at=place)
    print_laws = laws_document if as_json else laws_text
    emit(print_laws(ranked, answer_range(ranked), notes))


@app.command()
def compare(
    source: Source,
    baseline: Annotated[str, typer.Option(help="The strategy that the others are compared with.")],
    flops: Annotated[
        float | None,
        typer.Option(callback=_positive, help="Budget to compare at; by default the largest that both have reached."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare strategies: error saved at equal FLOPs, FLOPs saved at equal error, with intervals."""
    from analysis.comparing.compare import compare_all
    from analysis.tables.table import read_table
    from analysis.text import comparisons_text

    curves = _curves(source)
    with announce_if_slow(f"comparing {len(curves.strategies)} strategies"):
        comparisons = compare_all(curves, baseline, flops, read_table(source))
    emit([comparison.as_dict() for comparison in comparisons] if as_json else comparisons_text(comparisons))


@app.command()
def recommend(
    source: Source,
    flops: Annotated[
        float | None, typer.Option(callback=_positive, help="What can be spent, in charged FLOPs.")
    ] = None,
    cer: Annotated[float | None, typer.Option(callback=_positive, help="The CER wanted, as a fraction.")] = None,
    usd: Annotated[
        float | None, typer.Option(callback=_positive, help="What can be spent, in dollars on --hardware.")
    ] = None,
    device_hours: Annotated[
        float | None, typer.Option(callback=_positive, help="What can be spent, in hours of one --hardware.")
    ] = None,
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
    from analysis.recommending.budgets import flops_of_hours, flops_of_usd
    from analysis.recommending.recommend import recommend_for_cer, recommend_for_flops
    from analysis.tables.table import read_table
    from analysis.text import recommendation_text
    from scaling.cost.hardware import find_hardware

    if sum(option is not None for option in (flops, cer, usd, device_hours)) != 1:
        raise InputError("recommend: give one of --flops, --cer, --usd and --device-hours")
    device = None if hardware is None else find_hardware(hardware)
    if device is None and (usd is not None or device_hours is not None):
        raise InputError("recommend: --usd and --device-hours need --hardware")
    if device is not None and usd is not None:
        flops = flops_of_usd(usd, device)
    if device is not None and device_hours is not None:
        flops = flops_of_hours(device_hours, device)
    if not 0.0 <= lifetime_hours < float("inf"):
        raise InputError(f"--lifetime-hours: {lifetime_hours}, expected zero or more hours")
    curves, table = _curves(source), read_table(source)
    with announce_if_slow("choosing a strategy and models"):
        if flops is not None:
            answer = recommend_for_flops(curves, table, flops, device, lifetime_hours)
        else:
            answer = recommend_for_cer(curves, table, cer or 0.0, device, lifetime_hours)
    if study is not None:
        from analysis.recommending.next_study import write_next_study

        write_next_study(source, answer, study)
    emit(answer.as_dict() if as_json else recommendation_text(answer))


@app.command()
def forecast(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A study's folder, with forecast runs in forecast/.")],
    register: Annotated[
        bool, typer.Option("--register", help="Write down what is forecast at --flops, in DIR/forecasts.jsonl.")
    ] = False,
    flops: Annotated[
        list[str] | None, typer.Option(help="Budgets to register, in charged FLOPs: 1e13,3e13; may be repeated.")
    ] = None,
    strategy: Annotated[str | None, typer.Option(help="Strategy to register; by default every one.")] = None,
    encoder: Annotated[str | None, typer.Option(help="Encoder to register; by default every one.")] = None,
    llm: Annotated[str | None, typer.Option(help="LLM to register; by default every one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Hold forecasts against runs that the fits have not seen: those registered before, and the runs in forecast/."""
    from analysis.curves.forecast_check import FORECAST_FOLDER, check_forecasts, forecasts_text
    from analysis.options import positive_numbers
    from analysis.registering.outcome import score_registered
    from analysis.registering.record import FORECASTS_FILE
    from analysis.registering.register import register as write_down
    from analysis.registering.text import registered_text, score_text

    if register:
        if not flops:
            raise InputError("forecast --register: name the budgets with --flops")
        budgets = positive_numbers("--flops", flops)
        with announce_if_slow(f"fitting laws to {folder}"):
            said = write_down(folder, budgets, strategy, encoder, llm)
        emit([one.model_dump(mode="json", by_alias=True) for one in said] if as_json else registered_text(said))
        return
    if flops or strategy or encoder or llm:
        raise InputError("forecast: --flops, --strategy, --encoder and --llm choose what --register writes down")
    registered = (folder / FORECASTS_FILE).exists()
    runs = () if registered and not (folder / FORECAST_FOLDER).exists() else check_forecasts(_curves(folder), folder)
    if not registered:
        emit([run.as_dict() for run in runs] if as_json else forecasts_text(runs))
        return
    score = score_registered(folder)
    if as_json:
        emit(
            {
                "runs": [run.as_dict() for run in runs],
                "registered": [outcome.as_dict() for outcome in score.outcomes],
                "score": score.as_dict(),
            }
        )
        return
    emit("\n".join([*filter(None, [forecasts_text(runs)]), score_text(score)]))


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A study's folder.")],
    as_json: AsJson = False,
) -> None:
    """Write DIR/report.html and DIR/figures: what the study says, with a figure that answers for any budget."""
    from analysis.report.report import write_report

    written = write_report(folder)
    emit(written.as_dict() if as_json else str(written.path))


@app.command()
def frontier(
    source: Source,
    columns: Columns = None,
    where: Where = None,
    group: Group = None,
    as_json: AsJson = False,
) -> None:
    """Find the best model size of each budget (columns N, C and y) and where it moves with compute, with intervals."""
    import numpy as np

    from analysis.notes import as_document
    from analysis.options import chosen_table
    from analysis.recommending.isoflop_frontier import frontier as find_frontier
    from analysis.tables.points import points_of
    from analysis.text import frontier_text

    points, notes = points_of(chosen_table(source, columns, where, group, ("C", "N")), ("C", "N"))
    flops, sizes = (np.array([point.columns[name] for point in points]) for name in ("C", "N"))
    with announce_if_slow("finding the best size of each budget"):
        answer = find_frontier(flops, sizes, np.array([point.cer for point in points]))
    answer = replace(answer, warnings=(*notes, *answer.warnings))
    emit(as_document(answer) if as_json else frontier_text(answer))


@app.command()
def coverage(
    source: Source,
    flops: Annotated[
        float | None, typer.Option(callback=_positive, help="Where to ask; by default ten times the largest budget.")
    ] = None,
    strategy: Annotated[str | None, typer.Option(help="Strategy; by default every one.")] = None,
    sets: Annotated[int, typer.Option(min=1, help="Repetitions.")] = 200,
    as_json: AsJson = False,
) -> None:
    """Repeat a study's design on its own fitted laws: how often does each interval hold the truth, and how wide is
    it?
    """
    from analysis.curves.coverage import coverage as repeat
    from analysis.curves.curves import FAR
    from analysis.text import coverage_text

    every = _curves(source).of(strategy)
    curves = [curve for curve in every if curve.fit is not None and curve.fit.dof >= 1]
    left_out = ", ".join(curve.label for curve in every if curve not in curves)
    if not curves:
        raise InputError(f"coverage: {left_out}: too few budgets to be fitted; nothing can be repeated")
    if left_out:
        log(f"too few budgets to be repeated, left out: {left_out}")
    coverages = []
    for i, curve in enumerate(curves, start=1):
        with announce_if_slow(f"repeating the design of {curve.label} {sets} times ({i} of {len(curves)} curves)"):
            coverages.append(repeat(curve, flops or FAR * curve.largest_flops, sets))
    emit([coverage.as_dict() for coverage in coverages] if as_json else coverage_text(coverages))


@app.command()
def design(
    source: Source,
    flops: Annotated[float, typer.Option(callback=_positive, help="The target: the budget whose error must be known.")],
    spend: Annotated[
        float, typer.Option(callback=_positive, help="What the next runs may cost together, in charged FLOPs.")
    ],
    strategy: Annotated[str | None, typer.Option(help="Strategy; by default the best at the target.")] = None,
    runs: Annotated[int, typer.Option(min=1, help="The most runs.")] = 96,
    as_json: AsJson = False,
) -> None:
    """Propose the next runs: those that shrink the interval of the error at a target most for their FLOPs."""
    from analysis.recommending.next_runs import propose
    from analysis.text import proposal_text

    curve = _curves(source).best(flops, strategy)
    with announce_if_slow(f"trying designs of up to {runs} runs"):
        proposal = propose(curve, flops, spend, runs)
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

    with announce_if_slow(f"scoring {hypotheses}"):
        scores = score_files(hypotheses, references, scoring)
    emit(scores.as_dict() if as_json else scores_text(scores))


def _codes(beginning: str) -> list[str]:
    """What a shell offers for a code."""
    from analysis.glossary import TERMS

    return sorted({term.code for term in TERMS if term.code.startswith(beginning)})


@app.command()
def explain(
    code: Annotated[
        str | None,
        typer.Argument(metavar="CODE", help="A status or warning; without one, all.", autocompletion=_codes),
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="All of them as the page docs/glossary.md.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what a status or a warning means, and what to do about it."""
    from analysis.glossary import explained, glossary_page

    terms = explained(code)
    if markdown:
        emit(glossary_page().rstrip("\n"))
        return
    emit([asdict(term) for term in terms] if as_json else "\n".join(term.as_text() for term in terms))


def _curves(source: Path) -> "Curves":
    from analysis.curves.fits_file import curves_of

    with announce_if_slow(f"fitting laws to {source}"):
        return curves_of(source)
