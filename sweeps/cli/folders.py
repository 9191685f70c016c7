"""Verbs of a folder of runs: watch it, send it to a tracker, free its disk, use and write out the best run, merge."""

from pathlib import Path
from typing import Annotated

import typer

from scaling.system.console import emit
from sweeps.cli.options import FolderArgument, JsonOption, KeyOption, StrategyOption


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


def gc(
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
    ] = "wandb",
    as_json: JsonOption = False,
) -> None:
    """Write all runs of DIR to Weights & Biases or to TensorBoard."""
    from sweeps.run.tracking import write_runs

    count = write_runs(folder, to)
    emit({"runs": count, "folder": str(folder / to)} if as_json else f"{count} runs: {folder / to}")


def transcribe(
    folder: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="The folder of a study, or of an export.")],
    audio: Annotated[list[Path], typer.Argument(metavar="AUDIO...", help="Audio files, folders of them, manifests.")],
    key: KeyOption = None,
    strategy: StrategyOption = None,
    mix_channels: Annotated[
        bool, typer.Option("--mix-channels", help="Hear the mean of all channels where none is named.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Transcribe AUDIO with the best run of RUN_DIR; where manifests hold text, also show the error rates."""
    from sweeps.finished.transcribe_export import transcribe, transcripts_document, transcripts_text

    transcripts = transcribe(folder, audio, key, strategy, mix_channels=mix_channels)
    emit(transcripts_document(transcripts) if as_json else transcripts_text(transcripts), as_is=True)


def export(
    folder: FolderArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")],
    key: KeyOption = None,
    strategy: StrategyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the best run of DIR to OUT: Hugging Face folders with merged adapters, projector and model card."""
    from sweeps.finished.transcribe_export import export

    run = export(folder, out, key, strategy)
    document = {"folder": str(out), "run": run.row.key, "strategy": run.row.strategy, "cer": run.row.cer}
    emit(document if as_json else f"run {run.row.key} ({run.row.strategy}): {out}")


def merge(
    parts: Annotated[list[Path], typer.Argument(metavar="PART...", help="Folders with a table of runs, or tables.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the one table, DIR/runs.jsonl.")],
    differ: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="A column that tells parts apart which differ on purpose; repeatable."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make one table of several, of a study that was trained in parts; runs that do not belong together are refused."""
    from scaling.ledger.records import RUNS_FILE
    from sweeps.finished.merge_tables import merge_tables

    rows, table = merge_tables(parts, out, differ or ()), out / RUNS_FILE
    emit({"table": str(table), "runs": len(rows)} if as_json else f"{len(rows)} runs of {len(parts)} parts: {table}")
