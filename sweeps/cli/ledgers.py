"""Verbs of a folder of runs: watch it, send it to a tracker, free its disk."""

from pathlib import Path
from typing import Annotated

import typer

from scaling.system.console import emit
from sweeps.cli.options import FolderArgument, JsonOption


def status(
    folder: FolderArgument,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh until no work is left.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what is done, running, waiting, blocked and failed in DIR."""
    from scaling.ledger.plan_file import read_plan_file
    from sweeps.progress.status import survey_study
    from sweeps.progress.status_text import status_text, study_status
    from sweeps.progress.status_text import watch as watch_study

    if watch:
        watch_study(folder, as_json=as_json)
        return
    plan_file = read_plan_file(folder)
    status = study_status(plan_file, survey_study(plan_file))
    emit(status.as_document() if as_json else status_text(status))


def collect_garbage(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a study, or the root of a ledger.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be freed.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete checkpoints that no run needs any more, and files of interrupted attempts; results stay."""
    from scaling.ledger.ledger import Ledger
    from scaling.ledger.plan_file import read_plan_file
    from sweeps.progress.retention import collect_garbage

    ledger = read_plan_file(folder).ledger if (folder / "plan.json").exists() else Ledger(folder)
    freed = collect_garbage(ledger, dry_run=dry_run, patient=True)
    emit(freed.as_document(dry_run=dry_run) if as_json else freed.text(dry_run=dry_run))


def track(
    folder: FolderArgument,
    to: Annotated[
        str, typer.Option("--to", help="wandb, offline unless WANDB_MODE says otherwise, or tensorboard.")
    ] = ("wandb"),
    as_json: JsonOption = False,
) -> None:
    """Write all runs of DIR to Weights & Biases or to TensorBoard."""
    from sweeps.run.tracking import write_runs

    count = write_runs(folder, to)
    emit({"runs": count, "folder": str(folder / to)} if as_json else f"{count} runs: {folder / to}")
