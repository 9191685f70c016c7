"""Workers on other machines: as many as there is work for, replaced when they die, told to leave when no work is left.

A scheduler (Slurm, Ray) starts them and says which have ended. What a worker's end means is decided here, alike for
every scheduler. Nothing is stored but counts: the ledger says which nodes are done, the scheduler which workers exist.
"""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from scaling.errors import InputError
from scaling.ledger.ledger import Attempt
from scaling.ledger.plan_file import PlanFile
from scaling.system.console import log
from sweeps.launchers.death_count import DEATHS_IN_A_ROW, DeathCount, attempt_held_by, nothing_begun
from sweeps.launchers.local_workers import received_signals
from sweeps.launchers.worker_exit import STOP_SECONDS, ExitKind, WorkerExit
from sweeps.progress import status
from sweeps.progress.status import State, Survey, ready

POLL_SECONDS = 0.5
"""Time between two looks for a signal; the scheduler is asked every `snapshot_seconds` of its own."""

BACK_OFF_SECONDS = (5.0, 15.0, 60.0, 300.0)
"""Pause before dead workers are replaced, by deaths in a row without any training between them (assumption)."""

REFUSED_SECONDS = 60.0
"""Pause after a scheduler refused to start workers: a limit on jobs or a restart passes in minutes (assumption)."""

DEFAULT_WORKERS = 4
"""Workers where --workers is not given: a small share of any cluster, never more than there is work (assumption)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a scheduler says about our workers.

    `present` workers run or wait in its queue, `exits` are those that ended since the last snapshot, and `queue`
    describes the queue for people.
    """

    present: int
    exits: Sequence[WorkerExit]
    queue: str


class StartRefused(Exception):
    """The scheduler did not start the workers; the message is its reason."""


class Scheduler(Protocol):
    """Starts workers that record their names in their leases, and says which of them have ended."""

    name: str
    snapshot_seconds: float

    def snapshot(self) -> Snapshot | None:
        """Our workers now; None while the scheduler does not answer: then nothing is known and nothing is decided."""

    def start(self, count: int) -> None:
        """Queue `count` more workers. Raises StartRefused."""

    def withdraw(self, count: int) -> None:
        """Take back up to `count` workers that have not begun."""

    def ask_to_leave(self) -> None:
        """Take back the workers that have not begun; have the others save a checkpoint and leave."""

    def cancel(self) -> None:
        """End every worker now."""


@dataclass(slots=True)
class ClusterWorkers:
    """The workers of one invocation, up to `workers`."""

    scheduler: Scheduler
    plan_file: PlanFile
    workers: int
    death_count: DeathCount = field(init=False)
    deaths_in_a_row: int = 0
    """Deaths since anything was last trained."""
    trained_flops: int = 0
    next_snapshot: float = 0.0
    not_before: float = 0.0
    started: bool = False
    queue: str = ""

    def __post_init__(self) -> None:
        self.death_count = DeathCount(self.plan_file)

    @property
    def given_up(self) -> bool:
        """Whether no worker is to be started any more."""
        return self.deaths_in_a_row >= DEATHS_IN_A_ROW or self.workers == 0

    def update(self, survey: Survey) -> None:
        """When a snapshot is due, take it: handle the exits, start missing workers, withdraw surplus ones."""
        if time.monotonic() < self.next_snapshot:
            return
        snapshot = self.scheduler.snapshot()
        self.next_snapshot = time.monotonic() + self.scheduler.snapshot_seconds
        if snapshot is None:
            self._tell(f"{self.scheduler.name} does not answer; workers go on without it")
            return
        self._tell(f"{self.scheduler.name}: {snapshot.queue}")
        self._handle_exits(snapshot.exits, survey)
        if snapshot.present < min(self.workers, usable_workers(self.plan_file, survey)):
            self._start_missing(snapshot.present)
        unfinished = survey.in_state(State.RUNNING) + survey.in_state(State.WAITING)
        if (surplus := snapshot.present - min(self.workers, len(unfinished))) > 0:
            self.scheduler.withdraw(surplus)

    def _start_missing(self, present: int) -> None:
        """Start the missing workers, by a survey of the ledger that is newer than the scheduler's answer."""
        if self.given_up or time.monotonic() < self.not_before:
            return
        missing = min(self.workers, usable_workers(self.plan_file, status.survey_study(self.plan_file))) - present
        if missing > 0:
            self._start(missing)

    def _tell(self, queue: str) -> None:
        """Log the state of the queue where it has changed."""
        if queue != self.queue:
            log(queue)
            self.queue = queue

    def _handle_exits(self, exits: Sequence[WorkerExit], survey: Survey) -> None:
        for worker_exit in exits:
            self._handle_exit(worker_exit)
        if any(worker_exit.kind in (ExitKind.DIED, ExitKind.OUT_OF_MEMORY) for worker_exit in exits):
            self._back_off(survey)

    def _handle_exit(self, worker_exit: WorkerExit) -> None:
        if worker_exit.kind is ExitKind.MISTAKE:
            raise InputError(f"worker {worker_exit.worker}: {worker_exit.reason}")
        if worker_exit.itself and nothing_begun(self.plan_file):
            raise InputError(f"worker {worker_exit.worker} cannot start ({worker_exit.reason})")
        if worker_exit.kind is ExitKind.CANCELLED:
            self.workers = max(self.workers - 1, 0)
        if worker_exit.kind is not ExitKind.FINISHED:
            replaced = "not replaced" if worker_exit.kind is ExitKind.CANCELLED else "replaced while there is work"
            log(f"worker {worker_exit.worker} is gone ({worker_exit.reason}); {replaced}")
        attempt = attempt_held_by(self.plan_file, worker=worker_exit.worker)
        if attempt is not None:
            self._release(attempt, worker_exit)

    def _release(self, attempt: Attempt, worker_exit: WorkerExit) -> None:
        """Free the node at once, before its heartbeat is old, or record that it has failed."""
        if worker_exit.kind is ExitKind.DIED:
            self.death_count.add(attempt, worker_exit.reason)
        if worker_exit.kind is ExitKind.OUT_OF_MEMORY:
            attempt.fail("memory", worker_exit.reason, session=self.plan_file.session)
        if not attempt.ended():
            attempt.release()

    def _back_off(self, survey: Survey) -> None:
        if survey.done_flops > self.trained_flops:
            self.deaths_in_a_row, self.trained_flops = 0, survey.done_flops
        pause = BACK_OFF_SECONDS[min(self.deaths_in_a_row, len(BACK_OFF_SECONDS) - 1)]
        self.not_before = time.monotonic() + pause
        self.deaths_in_a_row += 1
        if self.given_up:
            logs = self.plan_file.folder / "logs"
            log(f"workers died {self.deaths_in_a_row} times in a row without training anything; given up (see {logs})")

    def _start(self, count: int) -> None:
        try:
            self.scheduler.start(count)
            self.started = True
        except StartRefused as refusal:
            if not self.started:
                raise InputError(str(refusal)) from None
            log(f"{refusal}; trying again in {REFUSED_SECONDS:g} s")
            self.not_before = time.monotonic() + REFUSED_SECONDS


def run_cluster_workers(
    scheduler: Scheduler, plan_file: PlanFile, *, workers: int, watch: Callable[[Collection[str]], Survey]
) -> int | None:
    """Work through the plan with up to `workers` workers of `scheduler`.

    `watch` returns the newest survey of the ledger. A second signal ends the workers without their checkpoints.
    Returns the signal that stopped the workers, or None where no work was left. Raises InputError where a worker finds
    a user's mistake, or where the scheduler refuses the first workers.
    """
    cluster_workers = ClusterWorkers(scheduler, plan_file, workers)
    with received_signals() as received:
        try:
            while not received:
                survey = watch(())
                if survey.finished or cluster_workers.given_up:
                    return None
                cluster_workers.update(survey)
                time.sleep(POLL_SECONDS)
            log("asking the workers to save a checkpoint and leave; a second signal ends them at once")
            return received[0]
        finally:
            _stop_workers(scheduler, received)


def leave_running(scheduler: Scheduler, plan_file: PlanFile, *, workers: int, survey: Survey) -> None:
    """Start the missing workers and return. Raises InputError where the scheduler does not answer or refuses."""
    if scheduler.snapshot() is None:
        raise InputError(f"{scheduler.name} does not answer; no workers were started")
    ClusterWorkers(scheduler, plan_file, workers).update(survey)


def usable_workers(plan_file: PlanFile, survey: Survey) -> int:
    """How many workers could train now: nodes that are being trained, and nodes that only wait for a worker."""
    return len(survey.in_state(State.RUNNING)) + len(ready(plan_file, survey))


def _stop_workers(scheduler: Scheduler, received: Sequence[int]) -> None:
    scheduler.ask_to_leave()
    deadline = time.monotonic() + STOP_SECONDS
    while len(received) < 2 and time.monotonic() < deadline:
        snapshot = scheduler.snapshot()
        if snapshot is not None and snapshot.present == 0:
            return
        time.sleep(POLL_SECONDS)
    scheduler.cancel()
