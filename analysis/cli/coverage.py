"""`asr-scaling coverage`: how often the intervals of a study's design hold the truth."""

from typing import Annotated

import typer

from analysis.cli.options import AsJson, ChosenRuns, PositiveOption, reads_runs
from scaling.errors import InputError
from scaling.system.console import emit, log
from scaling.system.progress_line import announce_if_slow


@reads_runs
def coverage(
    runs: ChosenRuns,
    flops: Annotated[
        float | None, PositiveOption(help="Where to ask; by default ten times the largest budget.")
    ] = None,
    sets: Annotated[int, typer.Option(min=1, metavar="N", help="Repetitions.")] = 200,
    as_json: AsJson = False,
) -> None:
    """Repeat a study's design on its own fitted laws: how often does each interval hold the truth, and how wide is
    it?
    """
    from analysis.curves.coverage import coverage as repeat
    from analysis.curves.curves import FAR
    from analysis.text import coverage_text

    every = runs.fits().curves.curves
    curves = [curve for curve in every if curve.fit is not None and curve.fit.dof >= 1]
    left_out = ", ".join(curve.label for curve in every if curve not in curves)
    if not curves:
        raise InputError(f"coverage: {left_out}: too few budgets to be fitted; nothing can be repeated")
    if left_out:
        log(f"too few budgets to be repeated, left out: {left_out}")
    coverages = []
    for i, curve in enumerate(curves, start=1):
        with announce_if_slow(f"repeating the design of {curve.label} {sets} times ({i} of {len(curves)} curves)"):
            coverages.append(repeat(curve, flops or FAR * curve.largest_flops, sets))
    emit([coverage.as_dict() for coverage in coverages] if as_json else coverage_text(coverages))
