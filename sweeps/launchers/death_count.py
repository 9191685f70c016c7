"""Which node a dead worker was training, and when a node that keeps killing its workers has failed."""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from scaling.errors import InputError
from scaling.ledger.ledger import Attempt
from scaling.ledger.plan_file import PlanFile

DEATHS_PER_NODE = 3
"""A node has failed after so many deaths of its workers: too many for chance, and cheap enough to try (assumption)."""

DEATHS_IN_A_ROW = 6
"""Workers are given up after this many deaths in a row without progress between them (assumption)."""


@dataclass(slots=True)
class DeathCount:
    """Counts, for one invocation, the workers that died at each node."""

    plan_file: PlanFile
    deaths: Counter[str] = field(default_factory=Counter)

    def add(self, attempt: Attempt, reason: str) -> None:
        """Count the death of the worker that held `attempt`. A node with `DEATHS_PER_NODE` deaths has failed.

        Where the kernel killed the worker for memory, the node is tried again in smaller pieces and the death is not
        counted.
        """
        attempt.record_memory_kill(self.plan_file.session)
        if attempt.ended():
            return
        self.deaths[attempt.key] += 1
        if self.deaths[attempt.key] >= DEATHS_PER_NODE:
            cause = f"its worker died {self.deaths[attempt.key]} times, last: {reason}"
            attempt.fail("error", cause, session=self.plan_file.session)


def nothing_begun(plan_file: PlanFile) -> bool:
    """Whether no worker of this invocation has claimed a node yet: one that ends in error by itself cannot start."""
    attempts = (attempt for key in plan_file.nodes for attempt in _attempts(plan_file, key))
    leases = (attempt.lease() for attempt in attempts)
    return all(lease is None or lease.session != plan_file.session for lease in leases)


def attempt_held_by(plan_file: PlanFile, **worker: Any) -> Attempt | None:
    """The unfinished attempt whose lease has these values (such as `pid`); None where there is none."""
    for key in plan_file.nodes:
        with suppress(InputError):  # the survey tells of damaged files
            attempt = plan_file.ledger.unfinished_attempt(key)
            lease = None if attempt is None or attempt.ended() else attempt.lease()
            if lease is not None and all(getattr(lease, name) == value for name, value in worker.items()):
                return attempt
    return None


def _attempts(plan_file: PlanFile, key: str) -> list[Attempt]:
    """The attempts at a node; none where its files are damaged, of which the survey tells."""
    with suppress(InputError):
        return plan_file.ledger.attempts(key)
    return []
