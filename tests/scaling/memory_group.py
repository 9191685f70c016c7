"""A control group of a test's own, whose processes the kernel kills for memory beyond its limit. Needs root."""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import pytest
from processes import wait_until

from scaling.system.container_memory import ControlGroup, memory_groups

SWAP_LIMITS = {"memory.memsw.limit_in_bytes": None, "memory.swap.max": 0}
"""By file, where the kernel counts swap: None for the same limit, which is of memory and swap together in version 1."""


@contextmanager
def memory_group(limit_bytes: int) -> Iterator[ControlGroup]:
    """A group below one that this process is in (version 2 forbids some of them); skips where none can be made."""
    group = _made()
    try:
        (group.folder / group.files.limit).write_text(str(limit_bytes))
        for name, limit in SWAP_LIMITS.items():
            if (path := group.folder / name).exists():
                path.write_text(str(limit_bytes if limit is None else limit))
        yield group
    finally:
        for pid in _members(group):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not _members(group), 10)
        group.folder.rmdir()


def inside(group: ControlGroup, command: Sequence[str]) -> list[str]:
    """A command that runs in the group, with all that it starts."""
    return ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(group.folder / "cgroup.procs"), *command]


def kills(group: ControlGroup) -> int:
    """Processes of the group that the kernel has killed for memory."""
    for name in ("memory.events", "memory.oom_control"):
        if (path := group.folder / name).exists():
            counts = dict(line.split() for line in path.read_text().splitlines())
            return int(counts["oom_kill"])
    raise AssertionError(f"{group.folder} counts no kills")


def _made() -> ControlGroup:
    for above in memory_groups():
        folder = above.folder / f"asr-scaling-test-{os.getpid()}"
        with suppress(OSError):
            folder.mkdir()
            if (folder / above.files.limit).exists():
                return ControlGroup(folder, above.files)
            folder.rmdir()
    pytest.skip("no control group for memory can be made here: needs root, and the memory controller")


def _members(group: ControlGroup) -> list[int]:
    return [int(pid) for pid in (group.folder / "cgroup.procs").read_text().split()]
