"""What a plan says of a study before money is spent on it: designs that cannot answer the question."""

from collections.abc import Sequence

from sweeps.plan.hearing_onsets import BelowOnset
from sweeps.study.study import Study

ENOUGH_BUDGETS = 4
"""Fewer budgets cannot show a floor, because a law with one has three parameters."""


FAR_FROM_TUNING = 10.0
"""A largest budget of more than so many times that of the search is far from it. Measured in the reference study: at 40
times the FLOPs of the search, four times the batch that it had found gave one strategy a third less error.
"""


def plan_warnings(study: Study, below_onset: Sequence[BelowOnset] = ()) -> list[str]:
    """Warnings, each a code and a sentence."""
    return [
        *_too_few_budgets(len(study.budgets_flops)),
        *(f"below_onset: {below.text()}" for below in below_onset),
        *_tuned_far_below(study),
    ]


def _too_few_budgets(budgets: int) -> list[str]:
    if budgets >= ENOUGH_BUDGETS - 1:
        return []
    message = (
        f"{budgets} budget{'s' * (budgets > 1)} cannot show how the error falls with compute; name at least"
        f" {ENOUGH_BUDGETS} in budgets_flops, over two decades"
    )
    return [f"too_few_budgets: {message}"]


def _tuned_far_below(study: Study) -> list[str]:
    """Strategies whose rates and batch were found at far fewer FLOPs than the study spends, together by those FLOPs."""
    largest = max(study.budgets_flops)
    by_budget: dict[float, list[str]] = {}
    for model in study.models:
        for strategy, tuned in model.tuned.items():
            if largest > FAR_FROM_TUNING * tuned.highest_flops:
                by_budget.setdefault(tuned.highest_flops, []).append(
                    f"{strategy} ({model.spec.encoder_name} + {model.spec.llm_name})"
                )
    return [
        f"tuned_far_below: {', '.join(names)}: tuned at {flops:.3g} FLOPs, and the largest budget is"
        f" {largest / flops:.3g} times that, where other rates and batches may be best, for one strategy more than"
        " for another; run `tune` at larger budgets, too"
        for flops, names in by_budget.items()
    ]
