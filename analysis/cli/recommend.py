"""`asr-scaling recommend`: how to spend a budget."""

from pathlib import Path
from typing import Annotated

import typer

from analysis.cli.options import AsJson, ChosenRuns, PositiveOption, reads_runs
from scaling.cost.number_option import NumberOption
from scaling.system.console import emit


@reads_runs
def recommend(
    runs: ChosenRuns,
    flops: Annotated[float | None, PositiveOption(help="What can be spent, in charged FLOPs.")] = None,
    cer: Annotated[float | None, PositiveOption(help="The CER wanted, as a fraction.")] = None,
    usd: Annotated[float | None, PositiveOption(help="What can be spent, in dollars on --hardware.")] = None,
    device_hours: Annotated[float | None, PositiveOption(help="What can be spent, in hours of one --hardware.")] = None,
    hardware: Annotated[str | None, typer.Option(help="Device to price by, such as h100-sxm.")] = None,
    lifetime_hours: Annotated[
        float, NumberOption(help="Hours of audio to recognise over the model's life; FLOPs for them are counted in.")
    ] = 0.0,
    study: Annotated[Path | None, typer.Option(help="Write the recommended runs as a study file here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say how to spend a budget, or what a wanted CER costs: strategy, models, hours, FLOPs of each stage; the best
    sizes and shares where the runs identify them.
    """
    from analysis.recommending.recommend import recommend_asked
    from analysis.text import recommendation_text

    fits = runs.fits()
    answer = recommend_asked(fits, flops, cer, usd, device_hours, hardware, lifetime_hours)
    if study is not None:
        from analysis.recommending.next_study import write_next_study

        write_next_study(runs.source, answer, study)
    emit(answer.as_dict() if as_json else recommendation_text(answer, fits.error_name))
