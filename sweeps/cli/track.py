"""`asr-scaling track`: a study's runs sent to a tracker."""

from typing import Annotated

import typer

from scaling.system.console import emit
from sweeps.cli.options import FolderArgument, JsonOption


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
