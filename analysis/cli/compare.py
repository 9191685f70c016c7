"""`asr-scaling compare`: which strategy is better, and by how much."""

from typing import Annotated

import typer

from analysis.cli.options import AsJson, ChosenRuns, PositiveOption, reads_runs
from scaling.errors import InputError
from scaling.system.console import emit
from scaling.system.progress_line import announce_if_slow


@reads_runs
def compare(
    runs: ChosenRuns,
    baseline: Annotated[
        str | None, typer.Option(help="The strategy that the others are compared with; left out, they are listed.")
    ] = None,
    flops: Annotated[
        float | None, PositiveOption(help="Budget to compare at; by default the largest that both have reached.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare strategies: error saved at equal FLOPs, FLOPs saved at equal error, with intervals."""
    from analysis.comparing.compare import compare_all
    from analysis.comparing.comparison_text import comparisons_text

    fits = runs.fits(baseline)
    if baseline is None:
        strategies = ", ".join(fits.curves.strategies)
        raise InputError(f"compare: --baseline is missing; expected the strategy to compare with: {strategies}")
    with announce_if_slow(f"comparing {len(fits.curves.strategies)} strategies"):
        comparisons = compare_all(fits.curves, baseline, flops, fits.table)
    emit(
        [comparison.as_dict() for comparison in comparisons]
        if as_json
        else comparisons_text(comparisons, fits.error_name)
    )
