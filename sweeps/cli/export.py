"""`asr-scaling export`: the best run as Hugging Face folders."""

from pathlib import Path
from typing import Annotated

import typer

from scaling.system.console import emit
from sweeps.cli.options import FolderArgument, JsonOption, KeyOption, StrategyOption


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
