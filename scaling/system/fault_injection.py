"""Fault injection: a process kills itself at a chosen crash point, so that tests can show that no crash loses a result.

With ASR_SCALING_DIES_AT_WRITE="7" in its environment a process kills itself at the seventh crash point that it reaches,
with "2 result.json" at the second one whose place begins with `result.json`. It uses SIGKILL, because no handler runs
in a power cut either, and prints the place on stderr. Without the variable a crash point costs one comparison.
"""

import os
import signal

VARIABLE = "ASR_SCALING_DIES_AT_WRITE"
"""The environment variable that a process reads when it starts."""

_remaining = 0
_beginning = ""


def set_fault(fault: str) -> None:
    """Set the fault of this process, in the format of the environment variable; an empty text means none."""
    global _remaining, _beginning
    number, _, _beginning = fault.partition(" ")
    _remaining = int(number or 0)


def crash_point(place: str) -> None:
    """Kill this process if its fault says so. `place` names what is being written, and whether before or after."""
    global _remaining
    if _remaining and place.startswith(_beginning):
        _remaining -= 1
        if not _remaining:
            os.write(2, f"died at write point: {place}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)


set_fault(os.environ.get(VARIABLE, ""))
