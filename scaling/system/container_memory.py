"""Memory that the control groups of Linux leave to this process. Containers, Slurm and systemd set their limits.

A limit applies to all groups below it, so that the lowest limit of the groups above a process counts. The names of
files are from the kernel's documentation of version 1 (admin-guide/cgroup-v1/memory.rst) and version 2
(admin-guide/cgroup-v2.rst). On a machine with both versions, either may have the memory controller.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class GroupFiles:
    """Names of the files with limit and usage in bytes, and of the lines in memory.stat that count cached files."""

    limit: str
    usage: str
    cached: tuple[str, str]


GROUP_FILES = {
    "cgroup": GroupFiles(
        "memory.limit_in_bytes", "memory.usage_in_bytes", ("total_active_file", "total_inactive_file")
    ),
    "cgroup2": GroupFiles("memory.max", "memory.current", ("active_file", "inactive_file")),
}
"""The names of files by the type of the groups' file system: version 1 and version 2."""


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """A control group, by its folder."""

    folder: Path
    files: GroupFiles

    def free_bytes(self) -> int | None:
        """Bytes that its processes may still use, with cached files counted as free; None where it has no limit.

        Version 1 always has a limit; where nobody has set it, it is larger than any memory.
        """
        with suppress(OSError, ValueError):  # a group without the memory controller, or the limit "max"
            limit = int((self.folder / self.files.limit).read_text())
            usage = int((self.folder / self.files.usage).read_text())
            lines = (line.split() for line in (self.folder / "memory.stat").read_text().splitlines())
            return limit - usage + sum(int(value) for name, value in lines if name in self.files.cached)
        return None


def free_container_bytes(process: Path = Path("/proc/self")) -> int | None:
    """Bytes that the control groups of a process leave to it; None where no group has a limit."""
    return min((free for group in memory_groups(process) if (free := group.free_bytes()) is not None), default=None)


def memory_groups(process: Path = Path("/proc/self")) -> Iterator[ControlGroup]:
    """The groups that may limit the memory of a process: its own first, then those above it as far as mounted."""
    with suppress(FileNotFoundError):  # not Linux
        paths = dict(_paths((process / "cgroup").read_text()))
        for line in (process / "mountinfo").read_text().splitlines():
            place, _, system = line.partition(" - ")
            kind, *_, options = system.split()  # the source between them may be empty
            if kind in paths and (kind == "cgroup2" or "memory" in options.split(",")):
                root, mounted = (Path(field) for field in place.split()[3:5])
                # in a container the group may be mounted as the root, while its path is that of the host
                inner = paths[kind].relative_to(root) if paths[kind].is_relative_to(root) else Path()
                yield from (ControlGroup(mounted / part, GROUP_FILES[kind]) for part in (inner, *inner.parents))


def _paths(lines: str) -> Iterator[tuple[str, Path]]:
    """The path of a process's group by the type of the file system."""
    for line in lines.splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            yield "cgroup2", Path(path)
        elif "memory" in controllers.split(","):
            yield "cgroup", Path(path)
