"""Which node a dead worker was at, and when a node that keeps killing its workers has failed."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from scaling.ledger.ledger import Attempt
from scaling.ledger.plan_file import PlanFile

DEATHS_PER_NODE = 3
"""A node whose worker died so many times has failed: more often than by chance, and cheap enough to have tried."""


@dataclass(slots=True)
class Blame:
    """Counts the workers lost at each node of an invocation."""

    plan_file: PlanFile
    deaths: Counter[str] = field(default_factory=Counter)

    def died(self, attempt: Attempt, reason: str) -> None:
        """Count a worker's death at `attempt`; a node that has killed too many has failed.

        One that the kernel killed for memory is tried again in smaller pieces, and not counted.
        """
        attempt.record_memory_kill(self.plan_file.session)
        if attempt.failure() is not None:
            return
        self.deaths[attempt.key] += 1
        if self.deaths[attempt.key] >= DEATHS_PER_NODE:
            cause = f"its worker died {self.deaths[attempt.key]} times, last: {reason}"
            attempt.fail("error", cause, session=self.plan_file.session)


def held_by(plan_file: PlanFile, **worker: Any) -> Attempt | None:
    """The unfinished attempt whose lease has these values (such as `pid`), if any."""
    for key in plan_file.nodes:
        attempts = [] if plan_file.ledger.done(key) else plan_file.ledger.attempts(key)
        lease = None if not attempts or attempts[-1].ended() else attempts[-1].lease()
        if lease is not None and all(getattr(lease, name) == value for name, value in worker.items()):
            return attempts[-1]
    return None
