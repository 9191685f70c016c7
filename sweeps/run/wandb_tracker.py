"""Writes runs to Weights & Biases from the ledger, as a process of its own.

    python -m sweeps.run.wandb_tracker DIR [--follow]

Each run of the study is a W&B run. Its id is the run's key, and the step of every metric is the FLOPs charged so far.
The trainer does not know the tracker: a tracker that hangs, dies or fills the disk neither stops nor slows training,
and what it lost can be written again from the ledger at any time.

Runs are offline unless WANDB_MODE says otherwise; upload them with `wandb sync`. Numbers and names of the study, its
strategies and its models are sent; the name of a model in a directory is the last part of its path. Transcripts, other
paths, host and user names, git remotes and code are not sent.
"""

import argparse
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from scaling.errors import InputError
from scaling.ledger.plan_file import PlanFile, read_plan_file
from scaling.ledger.records import RunDescription
from scaling.system.console import log, log_once
from scaling.system.own_code import python_module
from sweeps.progress.run_curve import history
from sweeps.progress.status import State, survey_study
from sweeps.run.tracker_lock import only_tracker, patience

FLUSH_SECONDS = 1
"""Seconds between writes to the offline file: the default of 15 s loses everything of runs that are killed early."""

POLL_SECONDS = 1.0
"""Seconds between reads of the ledger."""

LIVE_RUNS = 16
"""Runs that are open at a time; the others are written when these are finished (assumption: 16 need little memory)."""

FINISH_SECONDS = 20.0
"""Seconds that `finish()` of wandb may take: it was seen to hang."""

CONFIG_FIELDS = {
    "study",
    "strategy",
    "encoder",
    "llm",
    "budget_flops",
    "seed",
    "precision",
    "pretrain_flops",
    "encoder_params",
    "asr_decoder_params",
    "llm_params",
    "train_hours",
    "test_digest",
    "scoring",
    "flop_convention",
}
"""Fields of a run that are sent beside its curve: names, numbers and digests."""


def start_tracker(folder: Path) -> subprocess.Popen[bytes] | None:
    """A process that tracks the study in `folder` to its end; None where wandb is missing, which is logged."""
    import importlib.util

    if importlib.util.find_spec("wandb") is None:
        log("not tracked: wandb is not installed (pip install 'asr-scaling[track]'; later: asr-scaling track DIR)")
        return None
    path = folder / "logs" / "track.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as output:
        return subprocess.Popen(
            [*python_module("sweeps.run.wandb_tracker"), str(folder), "--follow"],
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


def end_tracker(process: subprocess.Popen[bytes] | None, patience: float = 2 * FINISH_SECONDS) -> None:
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


def write_runs(folder: Path) -> int:
    """Write every run that has begun to Weights & Biases; return their number.

    Raises InputError where another process tracks the study.
    """
    tracker = Tracker(read_plan_file(folder))
    with only_tracker(folder, patience(FINISH_SECONDS)) as alone:
        if not alone:
            raise InputError(f"{folder}: another process tracks this study; it writes all that `track` would")
        tracker.update(last=True)
    return len(tracker.finished)


class Tracker:
    """Writes the curve of each run as far as it is known; each update continues the last one."""

    def __init__(self, plan_file: PlanFile) -> None:
        self.finished: set[str] = set()
        self._plan_file = plan_file
        self._open: dict[str, Any] = {}
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
            points = list(history(self._plan_file, run))
        except InputError as error:
            log_once(f"not tracked: run {key}: {error}")
            return
        if not points:
            return
        if key not in self._open:
            self._open[key] = _begin(self._plan_file, run)
        for point in points[self._written.get(key, 0) :]:
            self._open[key].log(point)
        self._written[key] = max(len(points), self._written.get(key, 0))
        if last or state in (State.DONE, State.FAILED, State.BLOCKED):
            _finish(self._open.pop(key), ok=state is State.DONE)
            self.finished.add(key)


def _begin(plan_file: PlanFile, run: RunDescription) -> Any:
    """A new W&B run under the run's key; an earlier offline copy is replaced."""
    import wandb

    mode: Any = os.environ.get("WANDB_MODE", "offline")
    for earlier in plan_file.folder.glob(f"wandb/offline-run-*-{run.key}"):
        shutil.rmtree(earlier, ignore_errors=True)
    tracked = wandb.init(
        project=run.study,
        id=run.key,
        name=f"{run.strategy} {run.llm} {run.budget_flops:.3g} s{run.seed}",
        config=run.model_dump(include=CONFIG_FIELDS),
        mode=mode,
        resume="allow",
        reinit="create_new",
        settings=_settings(wandb, plan_file.folder),
    )
    tracked.define_metric("flops")
    tracked.define_metric("*", step_metric="flops")
    return tracked


def _settings(wandb: Any, folder: Path) -> Any:
    return wandb.Settings(
        root_dir=str(folder),
        silent=True,
        console="off",
        disable_code=True,
        disable_git=True,
        disable_job_creation=True,
        save_code=False,
        host="",
        program="",
        x_disable_meta=True,
        x_disable_machine_info=True,
        x_disable_stats=True,
        x_save_requirements=False,
        x_transaction_log_flush_interval=FLUSH_SECONDS,
        finish_timeout=FINISH_SECONDS,
    )


def _finish(tracked: Any, *, ok: bool) -> None:
    try:
        tracked.finish(exit_code=0 if ok else 1)
    except Exception as error:  # an error of the tracker loses nothing: the ledger has everything
        log(f"tracking: {error}")


def _follow(folder: Path) -> None:
    """Update again and again until every run is finished, or standard input ends.

    Where another process tracks the study, wait for its end and go on from there.
    """
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
        tracker = Tracker(read_plan_file(folder))
        while not tracker.update(last=ending.is_set()):
            ending.wait(POLL_SECONDS)


def main() -> int:
    """Track the study, or write it once; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sweeps.run.wandb_tracker", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--follow", action="store_true", help="until every run is finished or standard input ends")
    arguments = parser.parse_args()
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    try:
        if arguments.follow:
            _follow(arguments.folder)
        else:
            write_runs(arguments.folder)
    except InputError as error:
        log(f"error: {error}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
