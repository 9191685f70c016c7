"""`asr-scaling transcribe`: recordings written down by the best run."""

from pathlib import Path
from typing import Annotated

import typer

from scaling.system.console import emit
from sweeps.cli.options import JsonOption, KeyOption, StrategyOption


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
