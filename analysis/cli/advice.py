"""Advice: which strategy is better, how to spend a budget, which runs to add, and a report of all this."""

from pathlib import Path
from typing import Annotated

import typer

from analysis.cli.options import AsJson, PositiveOption, Runs, reads_runs
from scaling.cost.number_option import NumberOption
from scaling.errors import InputError
from scaling.system.console import emit, log
from scaling.system.progress_line import announce_if_slow


@reads_runs
def compare(
    runs: Runs,
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


@reads_runs
def recommend(
    runs: Runs,
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


@reads_runs
def report(
    runs: Runs,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write to; by default the study's own, and NAME-report for a table called NAME."),
    ] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option(metavar="SOURCE", help="Another study, or table, to draw in the same figure; may be repeated."),
    ] = None,
    examples: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="Test utterances to show with what the runs wrote for them; texts may be private."
        ),
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Write report.html and figures/: what the runs say, with a figure that answers for any budget."""
    from analysis.report.report import write_report

    written = write_report(runs.source, out, runs.choice, beside=beside or (), examples=examples)
    emit(written.as_dict() if as_json else str(written.path))


@reads_runs
def coverage(
    runs: Runs,
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


@reads_runs
def design(
    runs: Runs,
    flops: Annotated[float, PositiveOption(help="The target: the budget whose error must be known.")],
    spend: Annotated[float, PositiveOption(help="What the next runs may cost together, in charged FLOPs.")],
    most_runs: Annotated[int, typer.Option("--runs", min=1, metavar="N", help="The most runs.")] = 96,
    as_json: AsJson = False,
) -> None:
    """Propose the next runs: those that shrink the interval of the error at a target most for their FLOPs; by default
    of the strategy and models that are best there.
    """
    from analysis.recommending.next_runs import propose
    from analysis.text import proposal_text

    curve = runs.fits().curves.best(flops)
    with announce_if_slow(f"trying designs of up to {most_runs} runs"):
        proposal = propose(curve, flops, spend, most_runs)
    emit(proposal.as_dict() if as_json else proposal_text(proposal))
