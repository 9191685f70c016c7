"""What a tracker costs training at worst: one that spins for ever, on the very core that trains.

Matrix products on one core beside a follower (`sweeps.run.tracking`, started as `run` starts it) that only spins:
of the processor time of the two, the follower's share, as a median over rounds. Others on the machine do not change it.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from record import machine, require, write

from sweeps.run.tracking import end_tracker, start_tracker

ROUND_SECONDS = 4.0
ROUNDS = 10
SPIN = "while True:\n    pass\n"


def main() -> None:
    """Measure and write the record."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # the follower inherits it
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sitecustomize.py").write_text(SPIN)  # what a Python process runs before all else
        os.environ["PYTHONPATH"] = folder
        shares = [share(Path(folder)) for _ in range(ROUNDS)]
    report = {"median": statistics.median(shares), "largest": max(shares)}
    write("tracking", {"machine": machine(), "rounds": ROUNDS, "follower_share_of_processor_time": report})
    require("share of processor time that a spinning tracker takes, median", report["median"], 0.01)


def share(folder: Path) -> float:
    """The follower's part of the processor time of follower and training, over one round."""
    follower = start_tracker(folder)
    assert follower is not None, "the tracker is an extra: pip install 'asr-scaling[track]'"
    matrix = np.random.default_rng(0).standard_normal((192, 192)).astype(np.float32)
    began, ours, theirs = time.perf_counter(), time.process_time(), _processor_seconds(follower.pid)
    while time.perf_counter() - began < ROUND_SECONDS:
        matrix @ matrix
    ours, theirs = time.process_time() - ours, _processor_seconds(follower.pid) - theirs
    end_tracker(follower, patience=0.0)
    return theirs / (ours + theirs)


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
