"""Writes the curves of runs to a tracker from the ledger, as a process of its own.

    python -m sweeps.run.tracking DIR [--to wandb|tensorboard] [--follow]

The trainer does not know the tracker: a tracker that hangs, dies or fills the disk neither stops nor slows training,
and what it lost can be written again from the ledger at any time.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from scaling.errors import InputError, nearest
from scaling.ledger.plan_file import PlanFile, read_plan_file
from scaling.ledger.records import RunDescription
from scaling.ledger.run_curve import curve_points
from scaling.system.console import log, log_once
from scaling.system.contained_files import appending
from scaling.system.own_code import python_module
from sweeps.progress.status import State, survey_study
from sweeps.run import tensorboard_tracker, wandb_tracker
from sweeps.run.tracked_run import TrackedRun
from sweeps.run.tracker_lock import only_tracker, patience

TRACKERS: Mapping[str, Callable[[Path, RunDescription], TrackedRun]] = {
    "wandb": wandb_tracker.begin,
    "tensorboard": tensorboard_tracker.begin,
}
"""How a tracker begins to write a run, by the name that studies give the tracker."""

POLL_SECONDS = 1.0
"""Seconds between reads of the ledger."""

LIVE_RUNS = 16
"""The most runs that are open at a time; others are begun when one is finished (assumption: 16 need little memory)."""


def start_tracker(folder: Path, to: str = "wandb") -> subprocess.Popen[bytes] | None:
    """A process that tracks the study in `folder` to its end; None where the tracker is missing, which is logged."""
    if importlib.util.find_spec(to) is None:
        log(f"not tracked: {_how_to_get(to)}; later: asr-scaling track DIR --to {to}")
        return None
    with appending(folder / "logs" / "track.log") as output:
        return subprocess.Popen(
            [*python_module("sweeps.run.tracking"), str(folder), "--to", to, "--follow"],
            stdin=subprocess.PIPE,  # its end asks for the last update, also where this process dies
            stdout=output,
            stderr=output,
            process_group=0,  # so that Ctrl-C does not reach it
            preexec_fn=_run_when_idle,
        )


def _run_when_idle() -> None:
    """In the new process: use only time that no worker wants, so that a busy tracker costs training nothing.

    The tracker and the workers stay in one session, because Linux gives equal shares to sessions, whatever runs there.
    """
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.nice(19)


def _how_to_get(tracker: str) -> str:
    extra = {"wandb": "track"}.get(tracker, tracker)
    return f"{tracker} is not installed (pip install 'asr-scaling[{extra}]')"


def end_tracker(process: subprocess.Popen[bytes] | None, patience: float = 2 * wandb_tracker.FINISH_SECONDS) -> None:
    """Let the tracker write what is left; it is killed after `patience` seconds."""
    if process is None or process.stdin is None:
        return
    process.stdin.close()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.returncode:
        log("tracking took too long or failed (see logs/track.log); `asr-scaling track DIR` writes it again")


def write_runs(folder: Path, to: str = "wandb") -> int:
    """Write every run that has begun to a tracker; return their number.

    Raises InputError where the tracker is unknown or missing, or refuses a run, and where another process tracks the
    study.
    """
    if to not in TRACKERS:
        raise InputError(f"--to {to}: no such tracker{nearest(to, TRACKERS)}")
    if importlib.util.find_spec(to) is None:
        raise InputError(_how_to_get(to))
    tracker = Tracker(read_plan_file(folder), to)
    with only_tracker(folder, patience(wandb_tracker.FINISH_SECONDS)) as alone:
        if not alone:
            raise InputError(f"{folder}: another process tracks this study; it writes all that `track` would")
        tracker.update(last=True)
    return len(tracker.finished)


class Tracker:
    """Writes the curve of each run as far as it is known; each update continues the last one."""

    def __init__(self, plan_file: PlanFile, to: str) -> None:
        self.finished: set[str] = set()
        self._plan_file = plan_file
        self._begin = TRACKERS[to]
        self._open: dict[str, TrackedRun] = {}
        self._written: dict[str, int] = {}

    def update(self, *, last: bool = False) -> bool:
        """Write what is new; return whether all is written. The last update also closes runs that are not done."""
        states = survey_study(self._plan_file).runs
        for run in self._plan_file.runs:
            if run.key not in self.finished:
                self._write(run, states[run.key], last=last)
        return last or len(self.finished) == len(states)

    def _write(self, run: RunDescription, state: State, *, last: bool) -> None:
        key = run.key
        if key not in self._open and len(self._open) >= LIVE_RUNS and not last:
            return
        try:
            points = list(curve_points(self._plan_file, run))
        except InputError as error:
            log_once(f"not tracked: run {key}: {error}")
            return
        if not points:
            return
        if key not in self._open:
            self._open[key] = self._begin(self._plan_file.folder, run)
        for point in points[self._written.get(key, 0) :]:
            self._open[key].log(point)
        self._written[key] = max(len(points), self._written.get(key, 0))
        if last or state in (State.DONE, State.FAILED, State.BLOCKED):
            self._open.pop(key).finish(ok=state is State.DONE)
            self.finished.add(key)


def _follow(folder: Path, to: str) -> None:
    """Update until every run is finished or standard input ends; first wait for any other process that tracks."""
    ending = threading.Event()

    def wait_for_end() -> None:
        while os.read(sys.stdin.fileno(), 4096):  # unbuffered: a lock on sys.stdin could not be left at exit
            pass
        ending.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    with only_tracker(folder, lambda seconds: not ending.wait(seconds)) as alone:
        if not alone:
            log("another process tracks this study")
            return
        tracker = Tracker(read_plan_file(folder), to)
        while not tracker.update(last=ending.is_set()):
            ending.wait(POLL_SECONDS)


def main() -> int:
    """Track the study, or write it once; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sweeps.run.tracking", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--to", choices=list(TRACKERS), default="wandb")
    parser.add_argument("--follow", action="store_true", help="until every run is finished or standard input ends")
    arguments = parser.parse_args()
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    try:
        if arguments.follow:
            _follow(arguments.folder, arguments.to)
        else:
            write_runs(arguments.folder, arguments.to)
    except InputError as error:
        log(f"error: {error}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
