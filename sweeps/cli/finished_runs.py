"""Verbs of finished runs: use the best one, or write it out for others."""

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
    emit(transcripts_document(transcripts) if as_json else transcripts_text(transcripts))


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
