"""Who holds an attempt: which process on which machine, whether it lives, and whether the kernel killed it for memory.

A lease is judged by what cannot lie. On the same machine since the same boot a process that is gone is gone at once,
whatever its pid is used for now. Elsewhere, and for a process that is stopped or hangs, the heartbeat tells: a file
touched every `HEARTBEAT_SECONDS`. Clocks jump, so a heart that looks old is believed dead only after it was seen to
stand still for `STILL_SECONDS` of the observer's own monotonic time.
"""

import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

LEASE_SECONDS = 30.0
"""A heartbeat older than this has lost its lease: fifteen beats, so a stalled disk does not cost an attempt."""

HEARTBEAT_SECONDS = 2.0

STILL_SECONDS = 3 * HEARTBEAT_SECONDS
"""Three beats missed before an observer's eyes: a live heart would have moved, whatever the clocks say."""

KERNEL_COUNTERS = Path("/proc/vmstat")
"""Where Linux counts, among other things, the processes it has killed for memory (`oom_kill`)."""

WORKER_NAME = "ASR_SCALING_WORKER"
"""Environment variable with a worker's name among those of its launcher, where process numbers are not enough."""

_silent: dict[Path, tuple[int, float]] = {}
"""Heartbeats this process has seen standing still: their time stamp, and since when by our own clock."""


def new_lease(session: str) -> dict[str, Any]:
    """What this process writes into a lease: who and where it is, and what the kernel has counted until now."""
    pid = os.getpid()
    return {"session": session, "since": time.time(), **_machine(), "pid": pid, "started": _started(pid)} | {
        "oom_kills": _oom_kills(),
        "worker": os.environ.get(WORKER_NAME),
    }


def gone(lease: dict[str, Any]) -> bool:
    """Whether the holder is known to live no more: it was a process of this machine since this boot, and is not now."""
    started = _started(int(lease["pid"])) if _is_here(lease) else lease["started"]
    return started is None or started != lease["started"]


def killed_for_memory(lease: dict[str, Any]) -> bool:
    """Whether the holder is gone and the kernel has killed for memory on this machine since it began.

    SIGKILL alone proves nothing: schedulers and people send it too. The counter is the machine's: that it rose for
    another process in the same time is possible, and costs smaller pieces, never another result.
    """
    before, now = lease.get("oom_kills"), _oom_kills()
    return gone(lease) and before is not None and now is not None and now > before


def young(heartbeat: Path) -> bool:
    """Whether the file was touched within the lease, by the clock."""
    return abs(time.time() - _touched_ns(heartbeat) / 1e9) < LEASE_SECONDS


def stands_still(heartbeat: Path) -> bool:
    """Whether the file has not been touched for `STILL_SECONDS` under the eyes of this process: ask again and again."""
    touched, now = _touched_ns(heartbeat), time.monotonic()
    before, since = _silent.get(heartbeat, (None, now))
    if touched != before:
        since = now
    _silent[heartbeat] = (touched, since)
    return now - since >= STILL_SECONDS


def _touched_ns(heartbeat: Path) -> int:
    """When a heart last beat. The file is opened, because that makes a network file system ask its server."""
    try:
        with heartbeat.open("rb") as file:
            return os.fstat(file.fileno()).st_mtime_ns
    except FileNotFoundError:  # a power cut left no more than the folder
        return heartbeat.parent.stat().st_mtime_ns


def _machine() -> dict[str, str]:
    return {"host": socket.gethostname(), "boot": _boot()}


def _is_here(lease: dict[str, Any]) -> bool:
    return (lease["host"], lease["boot"]) == tuple(_machine().values())


def _boot() -> str:
    """The boot, and in a container its own numbering of processes."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 - not a path, a name
    return ""


def _started(pid: int) -> str | None:
    """A process's start time in clock ticks since boot; None where it is gone or a zombie. Without /proc: its pid."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/stat").exists():
            return None
    with suppress(OSError):
        os.kill(pid, 0)
        return str(pid)
    return None


def _oom_kills() -> int | None:
    """Processes this kernel has killed for memory since boot; None where it does not say."""
    with suppress(OSError):
        for line in KERNEL_COUNTERS.read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return None
