"""Finished runs whose weights nobody can use: the row stands, the checkpoint at the run's end is lost."""

from collections.abc import Iterator
from dataclasses import dataclass

from scaling.errors import InputError
from scaling.ledger.checkpoints import checkpoint_of, is_lost
from scaling.ledger.ledger import Ledger
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
        if survey.runs[run.key] is State.DONE and (cause := _fault(plan_file.ledger, run.nodes[-1])):
            yield UnusableRun(run=run.key, cause=cause)


def _fault(ledger: Ledger, key: str) -> str | None:
    """Why nobody can use what came of a finished node; None where one can."""
    try:
        lost = is_lost(ledger, key)
    except InputError as error:
        return str(error)
    return f"its weights are lost: no folder {ledger.root}/{checkpoint_of(ledger, key)}" if lost else None
