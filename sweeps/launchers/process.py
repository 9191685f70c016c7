"""Child processes that never outlive their parent unseen."""

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1
"""From <sys/prctl.h>."""


def end_with_parent() -> None:
    """Run in a fresh child: ask the kernel for SIGTERM when the parent dies, however it dies. Linux only, else nothing.

    Elsewhere an orphaned worker goes on and its lease keeps it from being trained twice.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
