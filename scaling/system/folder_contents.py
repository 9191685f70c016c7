"""What a folder holds, measured and deleted by descriptors: no link is followed, and no mount is entered to delete."""

import os
import stat
from contextlib import suppress
from pathlib import Path

WITHIN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""How an entry is opened: no link is followed, a FIFO without a writer is opened at once, and no terminal is taken."""

MOST_FOLDERS = 100
"""Folders within folders that are measured and deleted, ten times as many as a ledger has. What lies deeper stays:
each takes a descriptor, and a process has about a thousand."""


def bytes_of(folder: int, name: str, depth: int = 0) -> int:
    """Bytes of a file in an open folder, or of all files in a folder there. A link counts as itself."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode) or depth > MOST_FOLDERS:
            return status.st_size
        handle = os.open(name, WITHIN | os.O_DIRECTORY, dir_fd=folder)
    except OSError:  # deleted while it is measured
        return 0
    try:
        return sum(bytes_of(handle, inner, depth + 1) for inner in os.listdir(handle))  # noqa: PTH208 - a descriptor
    finally:
        os.close(handle)


def remove(folder: int, name: str) -> None:
    """Delete a file or folder in an open folder; what lies in a mount stays. Raises OSError where `name` stays."""
    _remove(folder, name, _mount(folder), 0)


def _remove(folder: int, name: str, mount: str, depth: int) -> None:
    if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=folder)
        return
    handle = os.open(name, WITHIN | os.O_DIRECTORY, dir_fd=folder)
    try:
        if _mount(handle) != mount or depth > MOST_FOLDERS:
            return
        for inner in os.listdir(handle):  # noqa: PTH208 - a descriptor
            with suppress(OSError):
                _remove(handle, inner, mount, depth + 1)
    finally:
        os.close(handle)
    os.rmdir(name, dir_fd=folder)


def _mount(handle: int) -> str:
    """Names the mount that an open folder lies in: Linux tells mounts of one file system apart, others only disks."""
    with suppress(OSError):
        for line in Path(f"/proc/self/fdinfo/{handle}").read_text().splitlines():
            if line.startswith("mnt_id:"):
                return line
    return str(os.fstat(handle).st_dev)
