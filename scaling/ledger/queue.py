"""What every worker does, whatever it trains with: find the nodes it may claim, and keep a claimed one alive."""

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
        """Whether, at the last look, anything was being worked on or waited for."""
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
    """Keeps a lease alive from a thread of its own while a node is worked on; `lost` once another has taken over."""

    def __init__(self, attempt: Attempt) -> None:
        self.lost = False
        self._attempt = attempt
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._over.wait(HEARTBEAT_SECONDS):
            try:
                self._attempt.beat()
                self._attempt.check_lease()
            except LostLease:
                self.lost = True
            except OSError as error:  # a full disk must not end the lease: touching a file needs no space
                log(f"heartbeat of {self._attempt.key}: {error}")
