"""Python's collector of cycles, for commands that build a great many objects without any and end soon after."""

import atexit
import gc

ALLOCATIONS = 1_000_000
"""Between two collections, where Python has 700: a plan of ten thousand runs is half a million objects, and looking
through them again and again took a quarter of its time."""


def collect_seldom() -> None:
    """Let this process collect seldom, and not at its end. What is not in a cycle is freed at once, as ever."""
    gc.set_threshold(ALLOCATIONS)
    atexit.register(gc.freeze)
