"""Memory that Linux's control groups leave to this process. Containers, Slurm and systemd set limits by them.

A limit binds every group below, so that the narrowest on the way up counts. Names of files are those of the kernel's
documentation, of version 1 (admin-guide/cgroup-v1/memory.rst) and of version 2 (admin-guide/cgroup-v2.rst); on a
machine with both, either may hold the memory controller.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Version:
    """Files of a group with bytes in them, and lines of its memory.stat that count cached pages of files."""

    limit: str
    usage: str
    cached: tuple[str, str]


VERSIONS = {
    "cgroup": Version("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_active_file", "total_inactive_file")),
    "cgroup2": Version("memory.max", "memory.current", ("active_file", "inactive_file")),
}
"""By the type of their file system."""


@dataclass(frozen=True, slots=True)
class Group:
    """A control group, by its folder."""

    folder: Path
    version: Version

    def free_bytes(self) -> int | None:
        """What its processes may still take, cached files counted as free; None where it has no limit.

        Version 1 always has one, larger than any memory where nobody has set it.
        """
        with suppress(OSError, ValueError):  # of a group without this controller, and of "max"
            limit = int((self.folder / self.version.limit).read_text())
            usage = int((self.folder / self.version.usage).read_text())
            lines = (line.split() for line in (self.folder / "memory.stat").read_text().splitlines())
            return limit - usage + sum(int(value) for name, value in lines if name in self.version.cached)
        return None


def free_container_bytes(process: Path = Path("/proc/self")) -> int | None:
    """What the groups of a process leave it, in bytes; None where none has a limit."""
    return min((free for group in memory_groups(process) if (free := group.free_bytes()) is not None), default=None)


def memory_groups(process: Path = Path("/proc/self")) -> Iterator[Group]:
    """The groups that may limit a process's memory, its own first, then those above as far as they are mounted."""
    with suppress(FileNotFoundError):  # not Linux
        paths = dict(_paths((process / "cgroup").read_text()))
        for line in (process / "mountinfo").read_text().splitlines():
            place, _, system = line.partition(" - ")
            kind, *_, options = system.split()  # between them a source, which may be empty
            if kind in paths and (kind == "cgroup2" or "memory" in options.split(",")):
                root, mounted = (Path(field) for field in place.split()[3:5])
                # a container may see its own group mounted as the root, and its path as the host knows it
                inner = paths[kind].relative_to(root) if paths[kind].is_relative_to(root) else Path()
                yield from (Group(mounted / part, VERSIONS[kind]) for part in (inner, *inner.parents))


def _paths(lines: str) -> Iterator[tuple[str, Path]]:
    """A process's place among groups by the type of their file system."""
    for line in lines.splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            yield "cgroup2", Path(path)
        elif "memory" in controllers.split(","):
            yield "cgroup", Path(path)
