"""Arguments and options that several verbs share, defined once."""

from pathlib import Path
from typing import Annotated

import typer

from scaling.cost.number_option import NumberOption
from sweeps.launchers.options import Launcher

StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="A study's YAML file, or a shipped study's name.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Replace a field, for example --set budgets_flops=[1e11,1e12]."),
]
LedgerOption = Annotated[
    Path | None, typer.Option("--ledger", metavar="ROOT", help="Folder of trained stages; default: DIR.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
KeyOption = Annotated[
    str | None, typer.Option("--run", metavar="KEY", help="The run with this key; default: lowest dev CER.")
]
StrategyOption = Annotated[str | None, typer.Option("--strategy", metavar="S", help="Choose among runs of S.")]


def _devices(beginning: str) -> list[str]:
    """What a shell offers for --hardware."""
    from scaling.cost.hardware import HARDWARE

    return [name for name in HARDWARE if name.startswith(beginning.lower())]


HardwareOption = Annotated[
    str | None,
    typer.Option(
        "--hardware", metavar="NAME", help="Device for the costs; default: this machine.", autocompletion=_devices
    ),
]
MfuOption = Annotated[float | None, NumberOption("--mfu", help="Share of the device's peak that training reaches.")]
UsdOption = Annotated[float | None, NumberOption("--usd-per-hour", help="Price of a device-hour.")]
MaxFlopsOption = Annotated[float | None, NumberOption("--max-flops", help="Refuse a study of more FLOPs.")]
MaxHoursOption = Annotated[float | None, NumberOption("--max-hours", help="Refuse a study of more device-hours.")]
MaxUsdOption = Annotated[float | None, NumberOption("--max-usd", help="Refuse a study of more USD.")]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", min=1, metavar="N", help="At most N; default: cores / threads here, 4 elsewhere."),
]
OnOption = Annotated[Launcher, typer.Option("--on", help="Where the workers run.")]
FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a study.")]
