"""Finished runs whose weights nobody can use: the row stands, the checkpoint at the run's end is lost."""

from collections.abc import Iterator
from dataclasses import dataclass

from scaling.ledger.checkpoints import checkpoint_of, is_lost
from scaling.ledger.plan_file import PlanFile
from sweeps.progress.status import State, Survey


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusableRun:
    """The key of a finished run that can be neither used nor exported, and why."""

    run: str
    cause: str


def unusable_runs(plan_file: PlanFile, survey: Survey) -> list[UnusableRun]:
    """The study's finished runs whose last checkpoint is lost."""
    return list(_unusable(plan_file, survey))


def _unusable(plan_file: PlanFile, survey: Survey) -> Iterator[UnusableRun]:
    for run in plan_file.runs:
        if survey.runs[run.key] is State.DONE and is_lost(plan_file.ledger, end := run.nodes[-1]):
            place = checkpoint_of(plan_file.ledger, end)
            yield UnusableRun(run=run.key, cause=f"its result stands, its weights are lost: no folder {place}")
