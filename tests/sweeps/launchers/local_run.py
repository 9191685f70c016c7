"""`python local_run.py STUDY DIR WORKERS`: what `asr-scaling run` does, with stand-in workers.

With STAND_IN_FORKED in the environment they are forked as our trainer's workers are; else they are started by their
command.
"""

import os
import signal
import sys
from pathlib import Path

import pytest

from scaling.ledger.ledger import Ledger
from scaling.system.progress_line import ProgressLine
from sweeps.launchers import worker_process
from sweeps.launchers.local_workers import run_local_workers
from sweeps.launchers.worker_command import worker_command
from sweeps.plan.prepare import prepare
from sweeps.plan.write_plan import write_plan_file
from sweeps.run.monitor import Monitor
from sweeps.run.outcome import SweepOutcome

STAND_IN = [sys.executable, str(Path(__file__).with_name("stand_in.py"))]
STUB_SERVER = [sys.executable, str(Path(__file__).with_name("stub_server.py"))]


def run_locally(study: Path, folder: Path, workers: int, root: Path | None = None) -> SweepOutcome:
    ledger = Ledger(root or folder)
    prepared = prepare(str(study), [], ledger)
    plan_file = write_plan_file(prepared.study, prepared.plan, folder, ledger)
    monitor = Monitor(plan_file, ProgressLine())
    command = worker_command(STAND_IN, plan_file)
    with pytest.MonkeyPatch.context() as patch:
        if os.environ.get("STAND_IN_FORKED"):
            patch.setattr(worker_process, "TRAINER", tuple(STAND_IN))
            patch.setattr(worker_process, "FORK_SERVER", STUB_SERVER)
            patch.setenv("STUB_WORKER", f"import runpy; runpy.run_path({STAND_IN[1]!r}, run_name='__main__')")
        return monitor.finish(run_local_workers(plan_file, command, workers=workers, watch=monitor.update))


if __name__ == "__main__":
    signal.alarm(120)  # a test that hangs leaves nothing behind
    sys.exit(run_locally(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])).exit_code)
