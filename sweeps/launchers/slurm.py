"""Workers as arrays of Slurm jobs. squeue lists them by the name of the study's jobs; accounting is never needed.

A job's script starts one worker and writes its exit code to a file, because Slurm itself forgets the code in minutes. A
launcher that is started again finds the jobs of its study by their name, which is made from DIR.
"""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from scaling.errors import InputError
from scaling.ledger.lease import WORKER_NAME
from scaling.ledger.plan_file import PlanFile
from scaling.system.console import log
from scaling.system.contained_files import read_regular
from sweeps.launchers.cluster_workers import Snapshot, StartRefused
from sweeps.launchers.worker_command import SRUN, THREAD_VARIABLES, Command
from sweeps.launchers.worker_exit import STOP_SECONDS, ExitKind, WorkerExit, worker_exit
from sweeps.study.schema.worker_fields import SlurmFields

ANSWER_SECONDS = 30.0
"""A command of Slurm that takes longer has failed: its own messages time out after 10 s by default."""

EXIT_KINDS_BY_STATE = {
    "BOOT_FAIL": ExitKind.LOST,
    "CANCELLED": ExitKind.CANCELLED,
    "COMPLETED": ExitKind.FINISHED,
    "DEADLINE": ExitKind.LOST,
    "FAILED": ExitKind.DIED,
    "NODE_FAIL": ExitKind.LOST,
    "OUT_OF_MEMORY": ExitKind.OUT_OF_MEMORY,
    "PREEMPTED": ExitKind.LOST,
    "REVOKED": ExitKind.LOST,
    "TIMEOUT": ExitKind.DIED,
}
"""States of ended jobs that squeue may still list, and what each means for a worker without an exit code."""

SCRIPT = """\
#!/bin/bash
# One worker of a study. After a requeue Slurm starts this script again: the exit code of the earlier start is removed.
name="slurm-${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
base={logs}/"$name"
rm -f "$base.exit" "$base.exit.new"
[ -L "$base.log" ] && rm -f "$base.log"
exec >>"$base.log" 2>&1 || exit
echo "== $name on $(hostname), start $((${{SLURM_RESTART_COUNT:-0}} + 1))"
export {worker_name}="$name" {threads}
{command} &
worker=$!
trap 'kill -{stop} $worker' TERM INT
while wait $worker 2>/dev/null; code=$?; kill -0 $worker 2>/dev/null; do :; done
set -C  # what stands there by now, such as a link, is not written to
echo $code >"$base.exit.new" && mv "$base.exit.new" "$base.exit"
exit $code
"""
"""The script of a job. A signal ends bash's `wait` before the worker has ended: then the script waits again. srun gets
SIGUSR1, which it passes on to its processes; SIGTERM would make it kill them."""


@dataclass(frozen=True, slots=True)
class Job:
    """One line of squeue."""

    name: str
    state: str
    reason: str

    @property
    def array(self) -> str:
        """The name that all jobs of one submission share."""
        return self.name.partition("_")[0]


class Slurm:
    """The jobs of one study's folder, whichever invocation submitted them."""

    name = "Slurm"
    snapshot_seconds = 10.0
    """Every squeue is a message to a controller that serves all users (assumption: one in 10 s is no burden)."""

    def __init__(self, plan_file: PlanFile, command: Command, fields: SlurmFields) -> None:
        self._plan_file = plan_file
        self._fields = fields
        self._script = script(plan_file, command)
        self._logs = plan_file.folder / "logs"
        self._logs.mkdir(exist_ok=True)
        self._our_jobs = [f"--user={os.getuid()}", f"--name={job_name(plan_file)}"]
        self._known: dict[str, Job] = {}

    def snapshot(self) -> Snapshot | None:
        """Our jobs in the queue, and the exits of those that were there at the last snapshot."""
        jobs = self._jobs()
        if jobs is None:
            return None
        present = {name: job for name, job in jobs.items() if job.state not in EXIT_KINDS_BY_STATE}
        ended = [before for name, before in self._known.items() if name not in present]
        arrays = {job.array for job in jobs.values()}
        exits = [self._exit_of(before, jobs.get(before.name), before.array in arrays) for before in ended]
        self._known = present
        return Snapshot(present=len(present), exits=exits, queue=_queue_text(present.values()))

    def start(self, count: int) -> None:
        """Submit an array of `count` jobs."""
        try:
            number = _slurm(["sbatch", *self._options(count)], stdin=self._script).partition(";")[0].strip()
        except _CommandFailed as error:
            raise StartRefused(f"sbatch: {error}") from None
        names = [f"slurm-{number}_{task}" for task in range(count)]
        self._known |= {name: Job(name, "PENDING", "") for name in names}
        log(f"submitted to Slurm: {count} workers, job {number}")

    def withdraw(self, count: int) -> None:
        """Cancel the `count` newest jobs that wait in the queue."""
        waiting = [name for name, job in (self._jobs() or {}).items() if job.state == "PENDING"]
        chosen = sorted(waiting, key=_submission_order)[-count:]
        if chosen:
            self._scancel("--state=PENDING", *(name.removeprefix("slurm-") for name in chosen))
            self._known = {name: job for name, job in self._known.items() if name not in chosen}

    def ask_to_leave(self) -> None:
        """Cancel the jobs that wait in the queue; send SIGTERM to the workers that run."""
        self._scancel("--state=PENDING", *self._our_jobs)
        self._scancel("--state=RUNNING", "--batch", "--signal=TERM", *self._our_jobs)

    def cancel(self) -> None:
        """Cancel every job of the study."""
        self._scancel(*self._our_jobs)

    def _jobs(self) -> dict[str, Job] | None:
        try:
            listing = _slurm(["squeue", "--noheader", "--array", "--states=all", "--format=%i|%T|%r", *self._our_jobs])
        except _CommandFailed:
            return None
        jobs = (Job(f"slurm-{line[0]}", line[1], line[2]) for text in listing.splitlines() if (line := text.split("|")))
        return {job.name: job for job in jobs}

    def _exit_of(self, before: Job, job: Job | None, array_is_known: bool) -> WorkerExit:
        """How a job that was there `before` ended; `job` is what squeue still says about it.

        Slurm drops jobs that were cancelled before they began from the lines of their array. A worker that found
        nothing left to do ended well, even where Slurm says out of memory: one of its processes was.
        """
        name, code, log_file = before.name, self._exit_code(before.name), self._logs / f"{before.name}.log"
        dropped = job is None and array_is_known and before.state == "PENDING" and not log_file.exists()
        state = "CANCELLED" if dropped else "" if job is None else job.state
        if code == 0 or (code is not None and state not in ("CANCELLED", "OUT_OF_MEMORY")):
            return worker_exit(name, code, log_file)
        kind = EXIT_KINDS_BY_STATE.get(state, ExitKind.DIED if log_file.exists() else ExitKind.LOST)
        reason = state.lower().replace("_", " ") or "it left Slurm's queue"
        hint = f"; can its node write to {self._logs}?" if kind is ExitKind.DIED and not log_file.exists() else ""
        return WorkerExit(worker=name, kind=kind, reason=f"{reason}{hint}")

    def _exit_code(self, name: str) -> int | None:
        with suppress(InputError, ValueError):  # no file yet, or something else in its place
            return int(read_regular(self._logs / f"{name}.exit"))
        return None

    def _options(self, count: int) -> list[str]:
        fields = self._fields
        optional = {
            "--partition": fields.partition,
            "--account": fields.account,
            "--time": fields.time,
            "--gres": None if fields.gpus is None else f"gpu:{fields.gpus}",
            "--mem": fields.memory,
        }
        return [
            "--parsable",
            f"--job-name={job_name(self._plan_file)}",
            f"--comment={self._plan_file.study}",
            f"--array=0-{count - 1}",
            f"--nodes={fields.nodes}",
            f"--ntasks-per-node={self._plan_file.processes}",
            f"--cpus-per-task={fields.cpus or self._plan_file.threads}",
            "--output=/dev/null",  # the script writes to a file whose name Slurm's patterns cannot garble
            "--requeue",
            f"--signal=B:TERM@{STOP_SECONDS:.0f}",
            *(f"{option}={value}" for option, value in optional.items() if value is not None),
            *fields.sbatch,
        ]

    def _scancel(self, *arguments: str) -> None:
        try:
            _slurm(["scancel", "--quiet", *arguments])
        except _CommandFailed as error:
            log(f"scancel: {error}; jobs that remain end with: scancel {' '.join(self._our_jobs)}")


def refuse_missing_slurm() -> None:
    """Raise InputError where this machine has no Slurm to submit to."""
    missing = [program for program in ("sbatch", "squeue", "scancel") if shutil.which(program) is None]
    if missing:
        raise InputError(f"--on slurm: no {', '.join(missing)} on this machine; expected one that submits to Slurm")


def job_name(plan_file: PlanFile) -> str:
    """The name of every job of a study's folder."""
    return f"asr-scaling-{hashlib.sha256(os.fsencode(plan_file.folder.resolve())).hexdigest()[:12]}"


def script(plan_file: PlanFile, command: Command) -> str:
    """The script that a job runs."""
    threads = plan_file.threads
    return SCRIPT.format(
        logs=shlex.quote(str(plan_file.folder.resolve() / "logs")),
        worker_name=WORKER_NAME,
        threads=" ".join(f"{name}={threads}" for name in THREAD_VARIABLES),
        command=shlex.join(command),
        stop="USR1" if command[0] == SRUN else "TERM",
    )


class _CommandFailed(Exception):
    """A command of Slurm failed; the message is what the command printed."""


def _slurm(command: list[str], stdin: str = "") -> str:
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise _CommandFailed(f"no answer in {ANSWER_SECONDS:g} s") from None
    if done.returncode != 0:
        message = re.sub(r"^\w+: (error: )?", "", done.stderr.strip(), flags=re.MULTILINE)
        raise _CommandFailed("; ".join(message.splitlines()) or f"exit code {done.returncode}")
    return done.stdout


def _submission_order(name: str) -> tuple[int, ...]:
    """Numbers of job and task, which sort in the order of submission."""
    return tuple(int(part) for part in re.findall(r"\d+", name))


def _queue_text(jobs: Iterable[Job]) -> str:
    """Our part of the queue for people.

    >>> _queue_text([Job("a", "RUNNING", "None"), Job("b", "PENDING", "Priority"), Job("c", "PENDING", "Priority")])
    '2 pending (Priority), 1 running'
    """
    counts = Counter(f"{job.state.lower()}{f' ({job.reason})' * (job.state == 'PENDING')}" for job in jobs)
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "no workers"
