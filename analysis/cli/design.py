"""`asr-scaling design`: which runs to add."""

from typing import Annotated

import typer

from analysis.cli.options import AsJson, ChosenRuns, PositiveOption, reads_runs
from scaling.system.console import emit
from scaling.system.progress_line import announce_if_slow


@reads_runs
def design(
    runs: ChosenRuns,
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
