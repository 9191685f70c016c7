"""Workers as arrays of Slurm jobs. The queue is read with squeue, by our jobs' name; accounting is never needed.

A job's script starts one worker and writes down its exit code, because Slurm itself forgets it in minutes. A launcher
that is started again finds the jobs of its study by their name, which is made from DIR.
"""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from scaling.console import log
from scaling.errors import InputError
from scaling.ledger.lease import WORKER_NAME
from scaling.ledger.plan_file import PlanFile
from sweeps.launchers.fleet import Ending, Fate, Look, Refused, ending
from sweeps.launchers.local import STOP_SECONDS, THREAD_VARIABLES, Command
from sweeps.launchers.multi_process import SRUN
from sweeps.study.schema import SlurmFields

ANSWER_SECONDS = 30.0
"""A command of Slurm's that takes longer has failed: its own messages time out after 10 s by default."""

ENDED = {
    "BOOT_FAIL": Fate.LOST,
    "CANCELLED": Fate.CANCELLED,
    "COMPLETED": Fate.FINISHED,
    "DEADLINE": Fate.LOST,
    "FAILED": Fate.DIED,
    "NODE_FAIL": Fate.LOST,
    "OUT_OF_MEMORY": Fate.OUT_OF_MEMORY,
    "PREEMPTED": Fate.LOST,
    "REVOKED": Fate.LOST,
    "TIMEOUT": Fate.DIED,
}
"""States that squeue may still list after a job's end, and what became of a worker that wrote no exit code there."""

SCRIPT = """\
#!/bin/bash
# One worker of a study. Slurm may start this again after a requeue: an exit code of before is not ours.
name="slurm-${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
base={logs}/"$name"
rm -f "$base.exit"
exec >>"$base.log" 2>&1 || exit
echo "== $name on $(hostname), start $((${{SLURM_RESTART_COUNT:-0}} + 1))"
export {worker_name}="$name" {threads}
{command} &
worker=$!
trap 'kill -{stop} $worker' TERM INT
while wait $worker 2>/dev/null; code=$?; kill -0 $worker 2>/dev/null; do :; done
echo $code >"$base.exit.new" && mv "$base.exit.new" "$base.exit"
exit $code
"""
"""A signal ends bash's wait before the worker has ended: then it waits again. srun passes SIGUSR1 on to its processes,
where SIGTERM would have it kill them."""


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
    """The jobs of one study's folder, in whichever invocation they were submitted."""

    name = "Slurm"
    look_seconds = 10.0
    """Every squeue is a message to a controller that serves everybody."""

    def __init__(self, plan_file: PlanFile, command: Command, fields: SlurmFields) -> None:
        self._plan_file = plan_file
        self._fields = fields
        self._script = script(plan_file, command)
        self._logs = plan_file.folder / "logs"
        self._logs.mkdir(exist_ok=True)
        self._mine = [f"--user={os.getuid()}", f"--name={job_name(plan_file)}"]
        self._known: dict[str, Job] = {}

    def look(self) -> Look | None:
        """Our jobs in the queue, and the endings of those that were there before."""
        jobs = self._jobs()
        if jobs is None:
            return None
        present = {name: job for name, job in jobs.items() if job.state not in ENDED}
        gone = [before for name, before in self._known.items() if name not in present]
        arrays = {job.array for job in jobs.values()}
        endings = [self._ending(before, jobs.get(before.name), before.array in arrays) for before in gone]
        self._known = present
        return Look(present=len(present), endings=endings, queue=_in_words(present.values()))

    def start(self, count: int) -> None:
        """Submit an array of `count` jobs."""
        try:
            number = _slurm(["sbatch", *self._options(count)], given=self._script).partition(";")[0].strip()
        except _Failed as error:
            raise Refused(f"sbatch: {error}") from None
        names = [f"slurm-{number}_{task}" for task in range(count)]
        self._known |= {name: Job(name, "PENDING", "") for name in names}
        log(f"submitted to Slurm: {count} workers, job {number}")

    def withdraw(self, count: int) -> None:
        """Cancel the youngest jobs that wait in the queue."""
        waiting = [name for name, job in (self._jobs() or {}).items() if job.state == "PENDING"]
        chosen = sorted(waiting, key=_submission)[-count:]
        if chosen:
            self._scancel("--state=PENDING", *(name.removeprefix("slurm-") for name in chosen))
            self._known = {name: job for name, job in self._known.items() if name not in chosen}

    def ask_to_leave(self) -> None:
        """Cancel what waits in the queue; SIGTERM to the workers."""
        self._scancel("--state=PENDING", *self._mine)
        self._scancel("--state=RUNNING", "--batch", "--signal=TERM", *self._mine)

    def cancel(self) -> None:
        """Cancel every job of the study."""
        self._scancel(*self._mine)

    def _jobs(self) -> dict[str, Job] | None:
        try:
            listing = _slurm(["squeue", "--noheader", "--array", "--states=all", "--format=%i|%T|%r", *self._mine])
        except _Failed:
            return None
        jobs = (Job(f"slurm-{line[0]}", line[1], line[2]) for text in listing.splitlines() if (line := text.split("|")))
        return {job.name: job for job in jobs}

    def _ending(self, before: Job, job: Job | None, array_is_known: bool) -> Ending:
        """What became of a job. Slurm drops cancelled jobs that had not begun from the lines of their array.

        A worker that found nothing left to do ended well, even where Slurm says out of memory: a process of it did.
        """
        name, code, log_file = before.name, self._exit_code(before.name), self._logs / f"{before.name}.log"
        dropped = job is None and array_is_known and before.state == "PENDING" and not log_file.exists()
        state = "CANCELLED" if dropped else "" if job is None else job.state
        if code == 0 or (code is not None and state not in ("CANCELLED", "OUT_OF_MEMORY")):
            return ending(name, code, log_file)
        fate = ENDED.get(state, Fate.DIED if log_file.exists() else Fate.LOST)
        reason = state.lower().replace("_", " ") or "it left Slurm's queue"
        hint = f"; can its node write to {self._logs}?" if fate is Fate.DIED and not log_file.exists() else ""
        return Ending(worker=name, fate=fate, reason=f"{reason}{hint}")

    def _exit_code(self, name: str) -> int | None:
        path = self._logs / f"{name}.exit"
        return int(path.read_text()) if path.exists() else None

    def _options(self, count: int) -> list[str]:
        fields = self._fields
        wanted = {
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
            *(f"{option}={value}" for option, value in wanted.items() if value is not None),
            *fields.sbatch,
        ]

    def _scancel(self, *arguments: str) -> None:
        try:
            _slurm(["scancel", "--quiet", *arguments])
        except _Failed as error:
            log(f"scancel: {error}; jobs that remain end with: scancel {' '.join(self._mine)}")


def refuse_missing_slurm() -> None:
    """Raise InputError where this machine has no Slurm to submit to."""
    missing = [program for program in ("sbatch", "squeue", "scancel") if shutil.which(program) is None]
    if missing:
        raise InputError(f"--on slurm: no {', '.join(missing)} on this machine; expected one that submits to Slurm")


def job_name(plan_file: PlanFile) -> str:
    """The name of every job of a study's folder."""
    return f"asr-scaling-{hashlib.sha256(os.fsencode(plan_file.folder.resolve())).hexdigest()[:12]}"


def script(plan_file: PlanFile, command: Command) -> str:
    """What a job runs."""
    threads = plan_file.threads
    return SCRIPT.format(
        logs=shlex.quote(str(plan_file.folder.resolve() / "logs")),
        worker_name=WORKER_NAME,
        threads=" ".join(f"{name}={threads}" for name in THREAD_VARIABLES),
        command=shlex.join(command),
        stop="USR1" if command[0] == SRUN else "TERM",
    )


class _Failed(Exception):
    """A command of Slurm's failed; its words."""


def _slurm(command: list[str], given: str = "") -> str:
    try:
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise _Failed(f"no answer in {ANSWER_SECONDS:g} s") from None
    if done.returncode != 0:
        words = re.sub(r"^\w+: (error: )?", "", done.stderr.strip(), flags=re.MULTILINE)
        raise _Failed("; ".join(words.splitlines()) or f"exit code {done.returncode}")
    return done.stdout


def _submission(name: str) -> tuple[int, ...]:
    """Job and task as numbers, in the order of submission."""
    return tuple(int(part) for part in re.findall(r"\d+", name))


def _in_words(jobs: Iterable[Job]) -> str:
    """Our part of the queue.

    >>> _in_words([Job("a", "RUNNING", "None"), Job("b", "PENDING", "Priority"), Job("c", "PENDING", "Priority")])
    '2 pending (Priority), 1 running'
    """
    counts = Counter(f"{job.state.lower()}{f' ({job.reason})' * (job.state == 'PENDING')}" for job in jobs)
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items())) or "no workers"
