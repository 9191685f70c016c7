"""A real sweep, killed outright at several points and started again, leaves the table of an undisturbed one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_world import timeless, write_study, write_world

from scaling.ledger.ledger import Ledger
from sweeps.progress.results_table import read_rows
from sweeps.progress.retention import collect_garbage

COMMAND = [sys.executable, "-c", "from scaling.cli import main; main()"]


def start(study: Path, out: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    arguments = ["run", str(study), "--out", str(out), "--workers", "2"]
    return subprocess.Popen([*COMMAND, *arguments], env=environment, stdout=subprocess.DEVNULL)


def kill_everything(out: Path) -> int:
    """SIGKILL for every process that has the sweep's folder on its command line."""
    killed = 0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(out) in command and int(entry.name) != os.getpid():
            os.kill(int(entry.name), signal.SIGKILL)
            killed += 1
    return killed


def wait_until(reached: Callable[[], bool], sweep: subprocess.Popen[bytes]) -> bool:
    """Whether the point was reached before the sweep ended."""
    deadline = time.monotonic() + 120
    while not reached():
        if sweep.poll() is not None or time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@pytest.mark.slow  # six launchers that each start workers; `test_torture.py` kills forked ones in every test run
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds the processes to kill in /proc")
def test_a_sweep_killed_at_several_points_ends_as_an_undisturbed_one(tmp_path):
    study = write_study(write_world(tmp_path / "world"), budgets_flops=[2e8, 6e8], strategies=["efin", "joint"])
    plain, broken = tmp_path / "plain", tmp_path / "broken"
    assert start(study, plain).wait() == 0
    points: list[Callable[[], bool]] = [
        lambda: (broken / "plan.json").exists(),
        lambda: any(broken.glob("stages/*/attempts/*/events.jsonl")),
        lambda: any(broken.glob("stages/*/attempts/*/final/weights.safetensors")),
        lambda: len(list(broken.glob("stages/*/result.json"))) >= 5,
    ]
    killed = 0
    for reached in points:
        sweep = start(study, broken)
        if wait_until(reached, sweep):
            killed += kill_everything(broken)
        sweep.wait()
    assert killed >= len(points)
    assert start(study, broken).wait() == 0
    assert [timeless(row) for row in read_rows(broken)] == [timeless(row) for row in read_rows(plain)]
    assert [row.spent.flops for row in read_rows(broken)] == [row.spent.flops for row in read_rows(plain)]
    for leftover in broken.glob("stages/*/.*"):  # of a kill in the middle of a write: nobody reads it, and gc frees it
        os.utime(leftover, (0, 0))
    collect_garbage(Ledger(broken))
    assert not list(broken.glob("stages/*/.*"))
