"""`asr-scaling init`: a first study."""

from pathlib import Path
from typing import Annotated

import typer

from scaling.cost.number_option import NumberOption
from scaling.errors import InputError
from scaling.system.console import emit
from sweeps.cli.options import HardwareOption, JsonOption, UsdOption


def _hours_of_corpus(value: float | None) -> float | None:
    """Refuse hours that no made corpus has."""
    from sweeps.new_study.first_study import FEWEST_HOURS, MOST_HOURS

    if value is not None and not FEWEST_HOURS <= value <= MOST_HOURS:
        raise InputError(f"--corpus-hours: {value:g}, expected hours from {FEWEST_HOURS:g} to {MOST_HOURS:g}")
    return value


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new study file.")] = Path("study.yaml"),
    corpus: Annotated[
        str | None, typer.Option(help="Folder with train, dev and test sets, or a made corpus such as synthetic-zh.")
    ] = None,
    corpus_hours: Annotated[
        float | None, NumberOption(help="Hours of a made corpus; default: 4.", callback=_hours_of_corpus)
    ] = None,
    train: Annotated[str | None, typer.Option(help="Training set, where it is not found in --corpus.")] = None,
    dev: Annotated[str | None, typer.Option(help="Dev set, likewise.")] = None,
    test: Annotated[list[str] | None, typer.Option(metavar="NAME=FILE", help="Test set, likewise; repeatable.")] = None,
    language: Annotated[str | None, typer.Option(help="Whisper's code; by default what the corpus says.")] = None,
    encoder: Annotated[str, typer.Option(help="A shipped row, a hub name or a Hugging Face directory.")] = "",
    llm: Annotated[str, typer.Option(help="As --encoder.")] = "",
    flops: Annotated[float | None, NumberOption(help="What can be spent, in FLOPs.")] = None,
    usd: Annotated[float | None, NumberOption(help="What can be spent, in dollars.")] = None,
    device_hours: Annotated[float | None, NumberOption(help="What can be spent, in hours of --hardware.")] = None,
    hardware: HardwareOption = None,
    usd_per_hour: UsdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a first study to FILE: budgets that can be paid, scoring and language, every field with a remark. What is
    not given is asked for on a terminal.
    """
    from sweeps.new_study.first_study import FirstStudyAnswers, named_sets, write_first_study
    from sweeps.new_study.questions import completed

    answers = FirstStudyAnswers(
        corpus=corpus,
        corpus_hours=corpus_hours,
        train=train,
        dev=dev,
        test=named_sets(test or []),
        language=language,
        encoder=encoder,
        llm=llm,
        flops=flops,
        usd=usd,
        device_hours=device_hours,
        hardware=hardware,
        usd_per_hour=usd_per_hour,
    )
    written = write_first_study(file, completed(answers))
    emit(written.as_document() if as_json else written.as_text())
