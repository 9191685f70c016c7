"""Workers on this machine: started, watched, restarted, stopped. They pull their work from the ledger themselves."""

import importlib.util
import os
import shlex
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from scaling.console import log
from scaling.errors import InputError
from scaling.ledger.lease import WORKER_NAME
from scaling.ledger.plan_file import PlanFile
from sweeps.launchers.death_count import Blame, held_by
from sweeps.launchers.gpus import gpus, gpus_of
from sweeps.launchers.starter import TRAINER, Process, Starter, reason, starting

POLL_SECONDS = 0.2
"""How often the workers are looked at: a dead one is noticed well within two seconds."""

BACK_OFF_SECONDS = (0.5, 2.0, 8.0, 30.0)
"""Pause before a worker that died is started again, by its deaths in a row: what killed it may pass."""

DEATHS_IN_A_ROW = 6
"""A worker that dies so often without living for `HEALTHY_SECONDS` is given up."""

HEALTHY_SECONDS = 60.0
"""Living so long, a worker has imported everything and trained: an earlier death was not its start's fault."""

STOP_SECONDS = 60.0
"""Workers get this long to save a checkpoint when asked to stop (assumption: 10 GB at 200 MB/s)."""

TRAINER_NEEDS = ("torch", "transformers", "peft", "safetensors")

BAD_INPUT = 2
"""A worker's exit code for a user's mistake: starting it again would end the same way."""

LEFT = (128 + signal.SIGTERM, 128 + signal.SIGINT)
"""A worker's exit codes where it was asked to leave, by a user or a scheduler say, and did so after a checkpoint."""

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""What tells the libraries under torch and numpy how many threads a worker has."""

Command = Sequence[str]


def default_workers(threads: int, processes: int = 1) -> int:
    """One worker for each GPU of this machine; without any, as many as it has cores for, at `threads` each.

    A worker of several processes takes as many times more.
    """
    if found := gpus():
        return max(1, len(found) // processes)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // (threads * processes))


def trainer(*, shard: bool = False) -> Command:
    """One process of this project's worker. Raises InputError where what it needs is not installed."""
    missing = [name for name in TRAINER_NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"training needs {', '.join(missing)}: pip install 'asr-scaling[train]'")
    return [*TRAINER, *(["--shard"] if shard else [])]


def refuse_missing_compiler() -> None:
    """Raise InputError where torch.compile would find nothing on this machine to compile C++ with."""
    name = os.environ.get("CXX", "g++")
    if shutil.which(name) is None:
        raise InputError(f"compile true: needs a C++ compiler, and {name} is not there; expected one in PATH or in CXX")


def other_trainer(command: str) -> Command:
    """The worker that a user names: a command line. Raises InputError where it cannot be started."""
    program = shlex.split(command)
    found = shutil.which(program[0]) if program else None
    if found is None:
        raise InputError(f"--worker {command!r}: no such program; expected a command such as 'python my_trainer.py'")
    return [str(Path(found).absolute()), *program[1:]]


def worker_command(program: Command, plan_file: PlanFile) -> Command:
    """The command line of any worker: a program that takes --ledger and --plan."""
    return [*program, "--ledger", str(plan_file.ledger.root.absolute()), "--plan", str(plan_file.path.absolute())]


@dataclass(slots=True)
class Worker:
    """One slot: a process, and how often it has died in a row."""

    number: int
    name: str = ""
    process: Process | None = None
    born: float = 0.0
    deaths: int = 0
    not_before: float = 0.0
    finished: bool = False


@dataclass(slots=True)
class Crew:
    """The workers of one invocation."""

    plan_file: PlanFile
    starter: Starter
    workers: list[Worker]
    blame: Blame
    stopping: bool = False

    def start(self) -> None:
        """Start every worker that is due, as soon as one can be started."""
        due = [worker for worker in self.workers if self._is_due(worker)]
        if due and self.starter.ready():
            for worker in due:
                worker.born = time.monotonic()
                worker.name = f"local-{os.getpid()}-{worker.number}-{worker.born:.6f}"
                worker.process = _start(self.plan_file, self.starter, worker.number, worker.name)

    def reap(self) -> None:
        """Take note of workers that ended."""
        for worker in self.workers:
            if worker.process is not None and (code := worker.process.poll()) is not None:
                process, worker.process = worker.process, None
                self._ended(worker, process.pid, code)

    def alive(self) -> list[str]:
        """The names of the workers that are at work, or start as soon as the fork server is ready."""
        at_work = [worker.name for worker in self.workers if worker.process is not None]
        return at_work + [f"worker {worker.number}" for worker in self.workers if self._is_due(worker)]

    def _is_due(self, worker: Worker) -> bool:
        """Whether a worker is to be started now."""
        ended = worker.process is None and not worker.finished
        return ended and not self.stopping and time.monotonic() >= worker.not_before

    def working(self) -> bool:
        """Whether any worker is at work or will be started again."""
        return any(worker.process is not None or not (worker.finished or self.stopping) for worker in self.workers)

    def stop(self, number: int) -> None:
        """Pass a signal on to every worker; none is started any more."""
        self.stopping = True
        for worker in self.workers:
            if worker.process is not None:
                _signal(worker.process, number)

    def _ended(self, worker: Worker, pid: int, code: int) -> None:
        if code == 0 or self.stopping:
            worker.finished = True
            return
        if code == BAD_INPUT:
            self.stop(signal.SIGTERM)
            raise InputError(f"worker {worker.number}: {last_line(_log_path(self.plan_file, worker.number))}")
        if code in LEFT:
            worker.not_before = time.monotonic() + BACK_OFF_SECONDS[0]
            log(f"worker {worker.number} was asked to leave; starting it again")
            return
        here = {"host": socket.gethostname()}
        # of several processes it is not the one started here that holds the lease, but it has the name
        attempt = held_by(self.plan_file, **here, pid=pid) or held_by(self.plan_file, **here, worker=worker.name)
        if attempt is not None:
            self.blame.died(attempt, reason(code))
        if time.monotonic() - worker.born >= HEALTHY_SECONDS:
            worker.deaths = 0
        pause = BACK_OFF_SECONDS[min(worker.deaths, len(BACK_OFF_SECONDS) - 1)]
        worker.deaths += 1
        if worker.deaths >= DEATHS_IN_A_ROW:
            worker.finished = True
            last = last_line(_log_path(self.plan_file, worker.number))
            log(f"worker {worker.number} died {worker.deaths} times in a row ({reason(code)}: {last}); given up")
            return
        worker.not_before = time.monotonic() + pause
        log(f"worker {worker.number} died ({reason(code)}); starting it again in {pause:g} s")


def run_workers(
    plan_file: PlanFile, command: Command, *, workers: int, watch: Callable[[Sequence[str]], object]
) -> int | None:
    """Work through the plan with `workers` processes; the signal that stopped them, or None when nothing was left.

    `watch` is called between looks at the workers, with the names of those alive. A second signal kills what has not
    stopped yet.
    Raises InputError where a worker finds a user's mistake.
    """
    forks_log = plan_file.folder / "logs" / "fork-server.log"
    with signals() as received, starting(command, _environment(plan_file), forks_log) as starter:
        crew = Crew(plan_file, starter, [Worker(number) for number in range(workers)], Blame(plan_file))
        try:
            while True:
                crew.start()
                crew.reap()
                if received and not crew.stopping:
                    log(f"stopping {workers} workers; a second signal kills them")
                    crew.stop(received[0])
                if not crew.working() or len(received) > 1:
                    return received[0] if received else None
                watch(crew.alive())
                time.sleep(POLL_SECONDS)
        finally:
            _end(crew, patient=len(received) < 2)


def _end(crew: Crew, *, patient: bool) -> None:
    processes = [worker.process for worker in crew.workers if worker.process is not None]
    deadline = time.monotonic() + (STOP_SECONDS if patient else 0.0)
    for process in processes:
        _signal(process, signal.SIGTERM)
    while time.monotonic() < deadline and any(process.poll() is None for process in processes):
        time.sleep(POLL_SECONDS)
    for process in processes:
        _signal(process, signal.SIGKILL)
        process.wait()


@contextmanager
def signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them."""
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
    """What every worker of the plan is told."""
    return {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(plan_file.threads))}


def _start(plan_file: PlanFile, starter: Starter, number: int, name: str) -> Process:
    gpus_here = gpus_of(number, plan_file.processes)
    return starter.start({**_environment(plan_file), **gpus_here, WORKER_NAME: name}, _log_path(plan_file, number))


def _signal(process: Process, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _log_path(plan_file: PlanFile, number: int) -> Path:
    return plan_file.folder / "logs" / f"worker-{number}.log"


def last_line(path: Path) -> str:
    """What a worker's log ends with, without `error: ` before it."""
    lines = path.read_text("utf-8", errors="replace").split("\n")
    return next((line.removeprefix("error: ") for line in reversed(lines) if line.strip()), "no message")
