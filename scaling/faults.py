"""Dying on purpose at a chosen place where something is written: how tests prove that no place is a wrong one to die.

With ASR_SCALING_DIES_AT_WRITE=7 in its environment a process kills itself (SIGKILL, as a power cut would: no handler
runs) at the seventh write point it reaches, and says so on stderr. Unset, a write point costs a comparison.
"""

import os
import signal

_remaining = int(os.environ.get("ASR_SCALING_DIES_AT_WRITE", "0"))


def write_point(place: str) -> None:
    """A place where a process may die: before, within or after something is written."""
    global _remaining
    if _remaining:
        _remaining -= 1
        if not _remaining:
            os.write(2, f"died at write point: {place}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)
