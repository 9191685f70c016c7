"""What every worker needs, whatever it trains with: the nodes that may be claimed, and a heartbeat for its node."""

import threading
from collections.abc import Iterator

from scaling.ledger.lease import HEARTBEAT_SECONDS
from scaling.ledger.ledger import Attempt, Ledger, LostLease
from scaling.ledger.plan_file import PlanFile
from scaling.system.console import log


class Queue:
    """A plan's nodes in working order, and which of them may be claimed now."""

    def __init__(self, ledger: Ledger, plan: PlanFile) -> None:
        self.waiting = True
        """Whether `ready` last saw a node that is being worked on, or that waits for another node."""
        self._ledger = ledger
        self._session = plan.session
        self._needs = {key: plan.work[key].needs for key in plan.nodes}
        self._done: set[str] = set()

    def ready(self) -> Iterator[str]:
        """The nodes whose needs are done and that no live worker holds, in the plan's order."""
        self.waiting = False
        failed: set[str] = set()
        for key, needs in self._needs.items():
            if key in self._done:
                continue
            if any(need in failed for need in needs):
                failed.add(key)
            elif not all(self._is_done(need) for need in needs):
                self.waiting = True
            elif not self._is_done(key):
                attempts = self._ledger.attempts(key)
                if attempts and attempts[-1].final_failure(self._session):
                    failed.add(key)
                    continue
                self.waiting = True
                if not attempts or attempts[-1].over():
                    yield key

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
