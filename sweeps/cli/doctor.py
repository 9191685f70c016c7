"""`asr-scaling doctor`: whether this machine is ready."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from scaling.system.console import emit
from sweeps.cli.options import JsonOption


def doctor(
    folder: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder whose disk is checked.")] = Path(),
    as_json: JsonOption = False,
) -> None:
    """Check torch, accelerator, espeak, W&B, Slurm and disk, and measure the speed of this machine for `plan`."""
    from sweeps.doctor import diagnosis_document, diagnosis_of, diagnosis_text

    diagnosis = diagnosis_of(folder)
    emit(diagnosis_document(diagnosis) if as_json else diagnosis_text(diagnosis))
    sys.exit(diagnosis.any_broken)
