"""Processes that end when their parent does, however it ends, and the adoption of orphaned processes."""

import ctypes
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
"""From <sys/prctl.h>."""


def end_with_parent() -> None:
    """Let the kernel send SIGTERM to this process when its parent dies. Does nothing except on Linux.

    On other systems an orphaned worker continues, and its lease keeps other workers from its nodes.
    """
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def adopt_orphans() -> Iterator[bool]:
    """Within this context, descendants whose parent ends become children of this process. Yields whether they do.

    They do on Linux only; on other systems they become children of the first process of the system.
    """
    adopts = _prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield adopts
    finally:
        if adopts:
            _prctl(PR_SET_CHILD_SUBREAPER, 0)


def _prctl(option: int, value: int) -> bool:
    """Set an attribute of this process, and return whether the system has this attribute."""
    return sys.platform == "linux" and not ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
