"""What a plan says of a study before money is spent on it: designs that cannot answer the question."""

from collections.abc import Sequence

from sweeps.plan.hearing_onsets import BelowOnset
from sweeps.study.study import Study

ENOUGH_BUDGETS = 4
"""Fewer budgets cannot show a floor, because a law with one has three parameters."""


def plan_warnings(study: Study, below_onset: Sequence[BelowOnset] = ()) -> list[str]:
    """Warnings, each a code and a sentence."""
    return [
        *_too_few_budgets(len(study.budgets_flops)),
        *(f"below_onset: {below.text()}" for below in below_onset),
    ]


def _too_few_budgets(budgets: int) -> list[str]:
    if budgets >= ENOUGH_BUDGETS - 1:
        return []
    message = (
        f"{budgets} budget{'s' * (budgets > 1)} cannot show how the error falls with compute; name at least"
        f" {ENOUGH_BUDGETS} in budgets_flops, over two decades"
    )
    return [f"too_few_budgets: {message}"]
