"""Who holds an attempt: which process on which machine, whether it lives, and whether the kernel killed it for memory.

A process of the same machine and boot is looked up by its number and its start time, so a number that is used again
deceives nobody. A process elsewhere, and one that is stopped or hangs, is judged by its heartbeat: a file that it
touches every `HEARTBEAT_SECONDS`. Its age is counted by the clock of the file system (`scaling.system.file_clock`),
because clocks of machines differ. Clocks also jump, so a process whose heartbeat looks old is taken for dead only after
the observer has seen the file unchanged for `STILL_SECONDS` by its own monotonic clock.
"""

import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from pydantic import Field

from scaling.ledger.record import Record

LEASE_SECONDS = 30.0
"""A worker whose heartbeat is older than this has lost its lease: fifteen beats, so a stalled disk costs no attempt."""

HEARTBEAT_SECONDS = 2.0
"""Seconds between touches of the heartbeat (assumption: a file system of many workers bears one each two seconds)."""

STILL_SECONDS = 3 * HEARTBEAT_SECONDS
"""Seconds that an observer waits for a change of the heartbeat file: a live worker touches it three times meanwhile."""

KERNEL_COUNTERS = Path("/proc/vmstat")
"""Where Linux counts, among other things, the processes it has killed for memory (`oom_kill`)."""

WORKER_NAME = "ASR_SCALING_WORKER"
"""Environment variable with the name that a launcher gave a worker, where process numbers are not enough."""

_unchanged: dict[Path, tuple[int, float]] = {}
"""By heartbeat file that was observed: its time stamp, and the monotonic time since which that has not changed."""


class Lease(Record):
    """`lease.json` of an attempt: the process that holds it."""

    session: str
    """The invocation that the worker belongs to."""
    since: float
    """When the attempt began, in seconds since 1970."""
    host: str
    """Name of the machine."""
    boot: str
    """Identity of the machine's boot and of its process numbers; empty where the system has none."""
    pid: Annotated[int, Field(gt=0, lt=2**31)]
    """Number of the process."""
    started: str | None
    """Start time of the process in clock ticks since boot; without `/proc` its number."""
    oom_kills: int | None = None
    """Processes that the kernel had killed for memory when the attempt began; null where it does not count."""
    worker: str | None = None
    """Name of the worker among those of its launcher."""


def new_lease(session: str) -> Lease:
    """The lease of this process, which works for the invocation `session`."""
    pid = os.getpid()
    return Lease(
        session=session,
        since=time.time(),
        host=socket.gethostname(),
        boot=_boot(),
        pid=pid,
        started=_started(pid),
        oom_kills=_oom_kills(),
        worker=os.environ.get(WORKER_NAME),
    )


def is_gone(lease: Lease) -> bool:
    """Whether the holder is known to have ended: it was a process of this machine in this boot, and no longer runs."""
    is_here = (lease.host, lease.boot) == (socket.gethostname(), _boot())
    started = _started(lease.pid) if is_here else lease.started
    return started is None or started != lease.started


def killed_for_memory(lease: Lease) -> bool:
    """Whether the holder is gone and the kernel has killed for memory on this machine since the attempt began.

    SIGKILL alone proves nothing: schedulers and people send it too. The counter is the machine's: it may have risen for
    another process in the same time, which costs smaller pieces and never another result.
    """
    before, now = lease.oom_kills, _oom_kills()
    return is_gone(lease) and before is not None and now is not None and now > before


def is_recent(heartbeat: Path, now: float) -> bool:
    """Whether the file was touched within `LEASE_SECONDS` of `now`, the time by its file system's clock."""
    return abs(now - _touched_ns(heartbeat) / 1e9) < LEASE_SECONDS


def stands_still(heartbeat: Path) -> bool:
    """Whether this process has seen the file unchanged for `STILL_SECONDS`. The first calls begin the observation."""
    touched, now = _touched_ns(heartbeat), time.monotonic()
    before, since = _unchanged.get(heartbeat, (None, now))
    if touched != before:
        since = now
    _unchanged[heartbeat] = (touched, since)
    return now - since >= STILL_SECONDS


def _touched_ns(heartbeat: Path) -> int:
    """When the file was touched last. It is opened, because that makes a network file system ask its server.

    Where it is missing, after a power cut, or cannot be opened, its folder or its own entry tells.
    """
    try:
        handle = os.open(heartbeat, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return heartbeat.parent.lstat().st_mtime_ns
    except OSError:
        return heartbeat.lstat().st_mtime_ns
    try:
        return os.fstat(handle).st_mtime_ns
    finally:
        os.close(handle)


def _boot() -> str:
    """Identity of the boot and, in a container, of its own numbering of processes."""
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
