"""Workers on this machine: started, watched, restarted, stopped. They take their work from the ledger themselves."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from scaling.errors import InputError
from scaling.ledger.lease import WORKER_NAME
from scaling.ledger.plan_file import PlanFile
from scaling.system.console import log
from sweeps.launchers.death_count import DEATHS_IN_A_ROW, DeathCount, attempt_held_by, nothing_begun
from sweeps.launchers.gpus import gpus, gpus_of
from sweeps.launchers.worker_command import THREAD_VARIABLES, Command
from sweeps.launchers.worker_exit import ASKED_TO_LEAVE, BAD_INPUT, STOP_SECONDS, ended_itself, exit_text, last_line
from sweeps.launchers.worker_process import Process, ProcessStarter, process_starter

POLL_SECONDS = 0.2
"""Time between two looks at the workers: a death is noticed well within two seconds."""

BACK_OFF_SECONDS = (0.5, 2.0, 8.0, 30.0)
"""Pause before a worker that died is started again, by its deaths in a row: the cause may pass (assumption)."""

HEALTHY_SECONDS = 60.0
"""A worker that lived this long has imported everything and trained: its death is the first of a row (assumption)."""


def default_workers(threads: int, processes: int = 1) -> int:
    """One worker for each GPU of this machine; without any, as many as it has cores for, at `threads` each.

    A worker of several processes takes as many times more.
    """
    if gpu_names := gpus():
        return max(1, len(gpu_names) // processes)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // (threads * processes))


@dataclass(slots=True)
class LocalWorker:
    """One worker of this machine: its process while it runs, and how often it has died in a row."""

    number: int
    name: str = ""
    process: Process | None = None
    started_at: float = 0.0
    deaths: int = 0
    not_before: float = 0.0
    finished: bool = False


@dataclass(slots=True)
class LocalWorkers:
    """The workers of one invocation."""

    plan_file: PlanFile
    starter: ProcessStarter
    workers: list[LocalWorker]
    death_count: DeathCount
    stopping: bool = False

    def start(self) -> None:
        """Start every worker that is due, once the starter is ready."""
        due = [worker for worker in self.workers if self._is_due(worker)]
        if due and self.starter.ready():
            for worker in due:
                worker.started_at = time.monotonic()
                worker.name = f"local-{os.getpid()}-{worker.number}-{worker.started_at:.6f}"
                worker.process = _start(self.plan_file, self.starter, worker.number, worker.name)

    def handle_exits(self) -> None:
        """Decide what follows for every worker that has ended."""
        for worker in self.workers:
            if worker.process is not None and (code := worker.process.poll()) is not None:
                process, worker.process = worker.process, None
                self._handle_exit(worker, process.pid, code)

    def alive(self) -> list[str]:
        """The names of the workers that run, or that start as soon as the fork server is ready."""
        running = [worker.name for worker in self.workers if worker.process is not None]
        return running + [f"worker {worker.number}" for worker in self.workers if self._is_due(worker)]

    def _is_due(self, worker: LocalWorker) -> bool:
        """Whether a worker is to be started now."""
        idle = worker.process is None and not worker.finished
        return idle and not self.stopping and time.monotonic() >= worker.not_before

    def working(self) -> bool:
        """Whether any worker runs or will be started again."""
        return any(worker.process is not None or not (worker.finished or self.stopping) for worker in self.workers)

    def stop(self, number: int) -> None:
        """Pass signal `number` on to every worker; no worker is started any more."""
        self.stopping = True
        for worker in self.workers:
            if worker.process is not None:
                _signal(worker.process, number)

    def _handle_exit(self, worker: LocalWorker, pid: int, code: int) -> None:
        if code == 0 or self.stopping:
            worker.finished = True
        elif code == BAD_INPUT:
            self.stop(signal.SIGTERM)
            raise InputError(f"worker {worker.number}: {last_line(_log_path(self.plan_file, worker.number))}")
        elif code in ASKED_TO_LEAVE:
            worker.not_before = time.monotonic() + BACK_OFF_SECONDS[0]
            log(f"worker {worker.number} was asked to leave; starting it again")
        elif ended_itself(code) and nothing_begun(self.plan_file):
            self.stop(signal.SIGTERM)
            last = last_line(_log_path(self.plan_file, worker.number))
            raise InputError(f"worker {worker.number} cannot start ({exit_text(code)}): {last}")
        else:
            self._count_death(worker, pid, code)
            self._back_off(worker, exit_text(code))

    def _count_death(self, worker: LocalWorker, pid: int, code: int) -> None:
        """Count the death at the node that the worker held.

        Of several processes, the one that holds the lease is not the one started here, but it has the same name.
        """
        host = {"host": socket.gethostname()}
        attempt = attempt_held_by(self.plan_file, **host, pid=pid) or attempt_held_by(
            self.plan_file, **host, worker=worker.name
        )
        if attempt is not None:
            self.death_count.add(attempt, exit_text(code))

    def _back_off(self, worker: LocalWorker, reason: str) -> None:
        """Have a dead worker wait before its next start, or give it up."""
        if time.monotonic() - worker.started_at >= HEALTHY_SECONDS:
            worker.deaths = 0
        pause = BACK_OFF_SECONDS[min(worker.deaths, len(BACK_OFF_SECONDS) - 1)]
        worker.deaths += 1
        if worker.deaths >= DEATHS_IN_A_ROW:
            worker.finished = True
            last = last_line(_log_path(self.plan_file, worker.number))
            log(f"worker {worker.number} died {worker.deaths} times in a row ({reason}: {last}); given up")
        else:
            worker.not_before = time.monotonic() + pause
            log(f"worker {worker.number} died ({reason}); starting it again in {pause:g} s")


def run_local_workers(
    plan_file: PlanFile, command: Command, *, workers: int, watch: Callable[[Sequence[str]], object]
) -> int | None:
    """Work through the plan with `workers` processes.

    `watch` is called again and again with the names of the workers alive. A second signal kills the workers that have
    not stopped yet. Returns the signal that stopped the workers, or None where no work was left. Raises InputError
    where a worker finds a user's mistake.
    """
    fork_log = plan_file.folder / "logs" / "fork-server.log"
    with received_signals() as received, process_starter(command, _environment(plan_file), fork_log) as starter:
        group = LocalWorkers(
            plan_file, starter, [LocalWorker(number) for number in range(workers)], DeathCount(plan_file)
        )
        try:
            while True:
                group.start()
                group.handle_exits()
                if received and not group.stopping:
                    log(f"stopping {workers} workers; a second signal kills them")
                    group.stop(received[0])
                if not group.working() or len(received) > 1:
                    return received[0] if received else None
                watch(group.alive())
                time.sleep(POLL_SECONDS)
        finally:
            _end(group, patient=len(received) < 2)


def _end(group: LocalWorkers, *, patient: bool) -> None:
    processes = [worker.process for worker in group.workers if worker.process is not None]
    deadline = time.monotonic() + (STOP_SECONDS if patient else 0.0)
    for process in processes:
        _signal(process, signal.SIGTERM)
    while time.monotonic() < deadline and any(process.poll() is None for process in processes):
        time.sleep(POLL_SECONDS)
    for process in processes:
        _signal(process, signal.SIGKILL)
        process.wait()


@contextmanager
def received_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM in the list that this yields, so that they do not end this process."""
    received: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _environment(plan_file: PlanFile) -> dict[str, str]:
    """The environment of every worker of the plan file."""
    return {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(plan_file.threads))}


def _start(plan_file: PlanFile, starter: ProcessStarter, number: int, name: str) -> Process:
    own_gpus = gpus_of(number, plan_file.processes)
    return starter.start({**_environment(plan_file), **own_gpus, WORKER_NAME: name}, _log_path(plan_file, number))


def _signal(process: Process, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _log_path(plan_file: PlanFile, number: int) -> Path:
    return plan_file.folder / "logs" / f"worker-{number}.log"
