"""Verbs of finished runs: use the best one, write it out for others, make one table of several."""

from pathlib import Path
from typing import Annotated

import typer

from scaling.system.console import emit
from sweeps.cli.options import FolderArgument, JsonOption, KeyOption, StrategyOption


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
