"""What every worker needs, whatever it trains with: the nodes that may be claimed, and a heartbeat for its node."""

import threading
from collections.abc import Iterator, Sequence
from enum import Enum, auto

from scaling.errors import InputError
from scaling.ledger.lease import HEARTBEAT_SECONDS
from scaling.ledger.ledger import Attempt, Ledger, LostLease
from scaling.ledger.plan_file import PlanFile
from scaling.system.console import log, log_once


class Readiness(Enum):
    """What a worker may do with a node."""

    DONE = auto()
    READY = auto()
    WAITING = auto()
    FAILED = auto()


class Queue:
    """A plan's nodes in working order, and which of them may be claimed now."""

    def __init__(self, ledger: Ledger, plan: PlanFile) -> None:
        self.waiting = True
        """Whether the last call of `ready` saw a node that a worker holds, or that waits for another node."""
        self._ledger = ledger
        self._session = plan.session
        self._needs = {key: plan.work[key].needs for key in plan.nodes}
        self._done: set[str] = set()
        self._read: set[str] = set()

    def ready(self) -> Iterator[str]:
        """The nodes whose needs are done and that no live worker holds, in the plan's order."""
        self.waiting = False
        failed: set[str] = set()
        for key, needs in self._needs.items():
            if key in self._done:
                continue
            try:
                state = Readiness.FAILED if any(need in failed for need in needs) else self._state(key, needs)
            except InputError as error:  # one damaged file must not end the work on other nodes
                log_once(f"not trained: {key}: {error}")
                state = Readiness.FAILED
            if state is Readiness.FAILED:
                failed.add(key)
            self.waiting |= state in (Readiness.READY, Readiness.WAITING)
            if state is Readiness.READY:
                yield key

    def _state(self, key: str, needs: Sequence[str]) -> "Readiness":
        """Whether a node may be claimed now. Raises InputError where its files, or results it needs, are damaged."""
        if not all(self._is_done(need) for need in needs):
            return Readiness.WAITING
        if self._is_done(key):
            return Readiness.DONE
        for result in {key, *needs} - self._read:  # its own is a former one, beside which a new one must be possible
            self._ledger.result(result)
        self._read |= {key, *needs}
        attempts = self._ledger.attempts(key)
        if attempts and attempts[-1].final_failure(self._session):
            return Readiness.FAILED
        return Readiness.READY if not attempts or attempts[-1].over() else Readiness.WAITING

    def _is_done(self, key: str) -> bool:
        if key not in self._done and self._ledger.done(key):
            self._done.add(key)
        return key in self._done


class Heartbeat:
    """Touches the heartbeat from a thread while a node is worked on; `lost` is true once another worker took over."""

    def __init__(self, attempt: Attempt) -> None:
        self.lost = False
        self._attempt = attempt
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_SECONDS):
            try:
                self._attempt.beat()
                self._attempt.check_lease()
            except LostLease:
                self.lost = True
            except OSError as error:  # a full disk must not end the lease: touching a file needs no space
                log(f"heartbeat of {self._attempt.key}: {error}")
