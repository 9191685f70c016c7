"""`asr-scaling laws`: which law forecasts best."""

from typing import Annotated

import typer

from analysis.cli.options import AsJson, ChosenRuns, PositiveOption, reads_runs
from scaling.system.console import emit
from scaling.system.progress_line import announce_if_slow


@reads_runs
def laws(
    runs: ChosenRuns,
    flops: Annotated[float | None, PositiveOption(help="Where to ask every law, in charged FLOPs.")] = None,
    at: Annotated[str | None, typer.Option(help="Where to ask every law, in its columns: N=7e9,D=4e12.")] = None,
    as_json: AsJson = False,
) -> None:
    """Choose a law by how well it forecast larger budgets from smaller ones; show how far the answer moves."""
    from analysis.cli.option_texts import named_numbers
    from analysis.curves.curve_fitting import points_of_curve
    from analysis.fitting.model_selection import answer_range, ranked_laws
    from analysis.text import laws_document, laws_text

    place = None if flops is None else {"C": flops}
    if at is not None:
        place = named_numbers("--at", at)
    law_columns = tuple(place) if place else ("C",)
    points, errors, weights, notes = points_of_curve(runs.table(law_columns), law_columns, runs.choice)
    with announce_if_slow("fitting every law, and forecasting larger budgets from smaller ones"):
        ranked = ranked_laws(points, errors, weights, at=place)
    print_laws = laws_document if as_json else laws_text
    emit(print_laws(ranked, answer_range(ranked), notes))
