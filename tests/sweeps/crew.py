"""`python crew.py STUDY DIR WORKERS`: what `asr-scaling run` does, with stand-in workers.

With CREW=forked in the environment they are forked as our trainer's are; else they are started by their command.
"""

import os
import signal
import sys
from pathlib import Path

import pytest

from scaling.ledger.ledger import Ledger
from scaling.system.progress_line import ProgressLine
from sweeps.launchers import starter
from sweeps.launchers.local import run_workers, worker_command
from sweeps.plan.prepare import prepare
from sweeps.plan.write_plan import write_plan_file
from sweeps.run.run import Follower, Outcome

STAND_IN = [sys.executable, str(Path(__file__).with_name("stand_in.py"))]
STUB_SERVER = [sys.executable, str(Path(__file__).with_name("stub_server.py"))]


def run_crew(study: Path, folder: Path, workers: int, root: Path | None = None) -> Outcome:
    ledger = Ledger(root or folder)
    prepared = prepare(str(study), [], ledger)
    plan_file = write_plan_file(prepared.study, prepared.plan, folder, ledger)
    follower = Follower(plan_file, ProgressLine())
    command = worker_command(STAND_IN, plan_file)
    with pytest.MonkeyPatch.context() as patch:
        if os.environ.get("CREW") == "forked":
            patch.setattr(starter, "TRAINER", tuple(STAND_IN))
            patch.setattr(starter, "FORK_SERVER", STUB_SERVER)
            patch.setenv("STUB_WORKER", f"import runpy; runpy.run_path({STAND_IN[1]!r}, run_name='__main__')")
        return follower.finish(run_workers(plan_file, command, workers=workers, watch=follower.look))


if __name__ == "__main__":
    signal.alarm(120)  # a test that hangs leaves nothing behind
    sys.exit(run_crew(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])).exit_code)
