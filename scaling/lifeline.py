"""A process that does not outlive the one that started it, however that one ends."""

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1
"""From <sys/prctl.h>."""


def end_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent dies, from now on. Linux only, else nothing.

    Elsewhere an orphaned worker goes on, and its lease keeps its nodes from being trained twice.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
