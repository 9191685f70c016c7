"""The clock of a file system. Machines that share a disk disagree about the time; its time stamps agree among them."""

import os
import tempfile
import time
from pathlib import Path

MEASURED_SECONDS = 10.0
"""Seconds for which a measurement holds, while this process counts on: a clock that is set is noticed soon enough."""

_measured: dict[Path, tuple[float, float]] = {}
"""By folder: the file system's time, and this process's monotonic time when it was measured."""


def file_time(folder: Path) -> float:
    """Seconds since 1970 by the clock that stamps files in `folder`; this machine's where none can be written."""
    stamp, since = _measured.get(folder, (0.0, -MEASURED_SECONDS))
    if (passed := time.monotonic() - since) < MEASURED_SECONDS:
        return stamp + passed
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            stamp = os.fstat(file.fileno()).st_mtime
    except OSError:
        return time.time()
    _measured[folder] = (stamp, time.monotonic())
    return stamp
