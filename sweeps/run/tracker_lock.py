"""One tracker at a time writes the runs of a study: a lock that the system takes back when its holder ends."""

import errno
import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from scaling.system.contained_files import appending

LOCK = "track.lock"
"""The locked file, in the folder of logs. It holds nothing and stays."""

LOOK_SECONDS = 0.5
"""Seconds between two tries to take the lock."""

TAKEN = (errno.EAGAIN, errno.EACCES)
"""The system's errors where another process holds the lock."""


@contextmanager
def only_tracker(folder: Path, wait: Callable[[float], bool]) -> Iterator[bool]:
    """Waits until no other process tracks the study in `folder`; yields whether this process may.

    `wait` pauses for so many seconds and says whether to look again. A file system without locks stops nobody.
    """
    with appending(folder / "logs" / LOCK) as file:
        while not (locked := _locked(file.fileno())) and wait(LOOK_SECONDS):
            pass
        yield locked


def patience(seconds: float) -> Callable[[float], bool]:
    """A `wait` that gives up after `seconds`."""
    until = time.monotonic() + seconds

    def wait(pause: float) -> bool:
        time.sleep(pause)
        return time.monotonic() < until

    return wait


def _locked(handle: int) -> bool:
    """Lock the file; False where another process has it."""
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in TAKEN
    return True
