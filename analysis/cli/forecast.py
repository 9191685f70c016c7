"""`asr-scaling forecast`: forecasts held against runs that the fits have not seen, or written down before them."""

from typing import Annotated

import typer

from analysis.cli.options import AsJson, ChosenRuns, reads_runs
from scaling.errors import InputError
from scaling.system.console import emit
from scaling.system.progress_line import announce_if_slow


@reads_runs
def forecast(
    runs: ChosenRuns,
    register: Annotated[
        bool, typer.Option("--register", help="Write down what is forecast at --flops, in DIR/forecasts.jsonl.")
    ] = False,
    flops: Annotated[
        list[str] | None,
        typer.Option(metavar="NUMBERS", help="Budgets to register, in charged FLOPs: 1e13,3e13; may be repeated."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Hold forecasts of a study's folder against runs that the fits have not seen: those registered before, all of
    them, and the runs in forecast/. --where chooses runs to fit.
    """
    from analysis.curves.forecast_check import FORECAST_FOLDER, check_forecasts, forecasts_text
    from analysis.registering.outcome import score_registered
    from analysis.registering.record import FORECASTS_FILE
    from analysis.registering.text import score_text

    folder = runs.source
    if not folder.is_dir():
        raise InputError(
            f"{folder}: not a folder; expected a study's folder, whose {FORECAST_FOLDER}/ holds unseen runs"
        )
    if register:
        _register(runs, flops or [], as_json)
        return
    if flops:
        raise InputError("forecast: the budgets of --flops choose what --register writes down")
    registered = (folder / FORECASTS_FILE).exists()
    unseen = (folder / FORECAST_FOLDER).exists() or not registered
    checked = check_forecasts(runs.fits().curves, folder, runs.choice) if unseen else ()
    if not registered:
        emit([run.as_dict() for run in checked] if as_json else forecasts_text(checked))
        return
    score = score_registered(folder)
    if as_json:
        emit(
            {
                "runs": [run.as_dict() for run in checked],
                "registered": [outcome.as_dict() for outcome in score.outcomes],
                "score": score.as_dict(),
            }
        )
        return
    emit("\n".join([*filter(None, [forecasts_text(checked)]), score_text(score)]))


def _register(runs: ChosenRuns, flops: list[str], as_json: bool) -> None:
    from analysis.cli.option_texts import positive_numbers
    from analysis.registering.register import register
    from analysis.registering.text import registered_text

    if not flops:
        raise InputError("forecast --register: name the budgets with --flops")
    if runs.choice.is_of_rows:
        raise InputError(
            "forecast --register: rests on all runs of the study; leave out --columns, --where and --group"
        )
    budgets, choice = positive_numbers("--flops", flops), runs.choice
    with announce_if_slow(f"fitting laws to {runs.source}"):
        said = register(runs.source, budgets, choice.strategy, choice.encoder, choice.llm)
    emit([one.model_dump(mode="json", by_alias=True) for one in said] if as_json else registered_text(said))
