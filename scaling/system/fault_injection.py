"""Dying on purpose at a chosen place where something is written: how tests prove that no place is a wrong one to die.

With ASR_SCALING_DIES_AT_WRITE="7" in its environment a process kills itself (SIGKILL, as a power cut would: no handler
runs) at the seventh write point it reaches, with "2 result.json" at the second whose place begins so, and says where
on stderr. Unset, a write point costs a comparison.
"""

import os
import signal

VARIABLE = "ASR_SCALING_DIES_AT_WRITE"
"""The environment variable that is looked at when a process begins."""

_remaining = 0
_beginning = ""


def arm(fault: str) -> None:
    """Die at the n-th write point, of those that begin with what follows the number; never for an empty text."""
    global _remaining, _beginning
    number, _, _beginning = fault.partition(" ")
    _remaining = int(number or 0)


def crash_point(place: str) -> None:
    """A place where a process may die: before, within or after something is written."""
    global _remaining
    if _remaining and place.startswith(_beginning):
        _remaining -= 1
        if not _remaining:
            os.write(2, f"died at write point: {place}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)


arm(os.environ.get(VARIABLE, ""))
