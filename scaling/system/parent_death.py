"""Processes that do not outlive the one that started them, however that one ends, and who takes over orphans."""

import ctypes
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
"""From <sys/prctl.h>."""


def end_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent dies, from now on. Linux only, else nothing.

    Elsewhere an orphaned worker goes on, and its lease keeps its nodes from being trained twice.
    """
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def adopt_orphans() -> Iterator[bool]:
    """While this lasts, a process below this one whose parent ends becomes a child of this one. Yields whether it does.

    Linux only: elsewhere such a process becomes a child of the system's first one.
    """
    adopts = _prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield adopts
    finally:
        if adopts:
            _prctl(PR_SET_CHILD_SUBREAPER, 0)


def _prctl(option: int, value: int) -> bool:
    """Set an attribute of this process; whether the system knows it."""
    return sys.platform == "linux" and not ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
