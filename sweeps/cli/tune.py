"""`asr-scaling tune`: rates and batch of every strategy, searched."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from scaling.system.console import emit, log
from sweeps.cli.options import JsonOption, LedgerOption, OnOption, SetOption, StudyArgument, WorkersOption
from sweeps.launchers.options import Launcher


def tune(
    study: StudyArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the runs of the search.")],
    budgets: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="FLOPs of the runs; default: a fortieth and a tenth of STUDY's largest, not below its smallest.",
        ),
    ] = None,
    write: Annotated[
        Path | None, typer.Option("--write", metavar="FILE", help="Write STUDY with the tuned settings to FILE.")
    ] = None,
    keep_batch: Annotated[
        bool, typer.Option("--keep-batch", help="Search the rates only: fewer settings, all with the batch of STUDY.")
    ] = False,
    ledger: LedgerOption = None,
    workers: WorkersOption = None,
    on: OnOption = Launcher.LOCAL,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search peak rates and batch of every strategy of STUDY with the same grid and FLOPs; choose by dev CER."""
    from scaling.ledger.ledger import Ledger
    from sweeps.run.run import train
    from sweeps.study.study import load_study
    from sweeps.tuning import text
    from sweeps.tuning.grid import RATES, Hyperparameter
    from sweeps.tuning.tune import TuningResult, tune, tuning_budgets

    if write is not None:
        text.refuse_missing_folder(write)
    loaded, root = load_study(study, set_ or []), Ledger(ledger or out)
    result = tune(
        loaded,
        tuning_budgets(loaded, budgets),
        root,
        lambda prepared: train(prepared, out, root, workers, on),
        RATES if keep_batch else tuple(Hyperparameter),
    )
    if not isinstance(result, TuningResult):
        log("tuning is not finished; the same command goes on from here")
        sys.exit(result.exit_code or 1)
    document = text.tuning_document(result)
    text.write_document(document, out / "tuning.json")
    if write is not None:
        text.write_tuned_study(result, write)
    emit(document if as_json else text.tuning_text(result))
