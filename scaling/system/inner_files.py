"""Files below a folder that others may write to, reached without following a link or entering a mount on the way.

A ledger on a shared disk may hold anything: a link to somebody's home, a FIFO that nobody writes to, a folder in place
of a file. What is reached here is a file or a folder of the tree itself, opened name by name relative to the folder
before (`openat` with `O_NOFOLLOW`), so nobody can put a link in the way in between. The root itself may be a link.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from scaling.errors import InputError

WITHIN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""How an entry is opened: no link is followed, and a FIFO without a writer is opened at once."""

DESCRIPTORS = Path("/proc/self/fd")
"""Where Linux shows the open files of a process, by their numbers."""

KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFDIR: "a folder",
    stat.S_IFREG: "a file",
    stat.S_IFSOCK: "a socket",
}
"""What an entry may be, in words; anything else is a device."""


@dataclass(frozen=True, slots=True)
class InnerFiles:
    """The files below `root`. A place is a path relative to it, without `..`, with slashes between its names."""

    root: Path

    def read(self, place: str) -> bytes:
        """The bytes of a file. Raises InputError, naming it, where it is missing, no regular file or unreadable."""
        with self.open(place) as file:
            return file.read()

    @contextmanager
    def open(self, place: str) -> Iterator[BinaryIO]:
        """A file, open for reading while this lasts. Raises InputError as `read`."""
        file_kind = stat.S_IFREG
        with self._explained(place, file_kind), self._opened(place, file_kind) as handle, _reading(handle) as file:
            yield file

    def stands(self, place: str) -> bool:
        """Whether anything stands at `place`. Raises InputError where nobody may look."""
        try:
            os.lstat(f"{self.root}/{place}")
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self.explanation(place, stat.S_IFREG, error) from None
        return True

    def is_folder(self, place: str) -> bool:
        """Whether `place` is a folder of this tree."""
        with suppress(OSError), self._opened(place, stat.S_IFDIR):
            return True
        return False

    def refuse_other(self, place: str) -> None:
        """Raise InputError where `place` is there and is no folder of this tree."""
        if self.stands(place):
            with self.folder(place):
                pass

    def entries(self, place: str) -> dict[str, bool]:
        """The names in a folder, sorted, and whether each is a folder; none where the folder is missing.

        Raises InputError where `place` is no folder of this tree or may not be read.
        """
        try:
            with self._opened(place, stat.S_IFDIR) as handle, os.scandir(handle) as found:
                return dict(sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in found))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self.explanation(place, stat.S_IFDIR, error) from None

    def folders(self, place: str) -> list[str]:
        """The names of the folders in a folder, sorted; as `entries`."""
        return [name for name, is_folder in self.entries(place).items() if is_folder]

    def bytes_of(self, place: str) -> int:
        """Bytes of a file, or of all files in a folder; 0 for what is missing. A link counts as itself."""
        parent, _, name = place.rpartition("/")
        with suppress(OSError), self._opened(parent, stat.S_IFDIR) as handle:
            return _bytes(handle, name)
        return 0

    def age(self, place: str, now: float) -> float:
        """Seconds since `place`, which may be a link, was changed; 0 where it is missing."""
        parent, _, name = place.rpartition("/")
        with suppress(OSError), self._opened(parent, stat.S_IFDIR) as handle:
            return now - os.stat(name, dir_fd=handle, follow_symlinks=False).st_mtime
        return 0.0

    def remove(self, place: str) -> None:
        """Delete a file or a folder with all that it holds; a link is deleted, and what it points to stays.

        What is missing, cannot be deleted, or lies in a mount, stays.
        """
        parent, _, name = place.rpartition("/")
        with suppress(OSError), self._opened(parent, stat.S_IFDIR) as handle:
            _remove(handle, name, _mount(handle))

    @contextmanager
    def folder(self, place: str) -> Iterator[Path]:
        """A path to a folder of this tree, while this lasts, that no link leads away from.

        Raises InputError where there is none. Where a system does not show descriptors as files it is the place itself,
        checked before.
        """
        with ExitStack() as stack:
            with self._explained(place, stat.S_IFDIR):
                handle = stack.enter_context(self._opened(place, stat.S_IFDIR))
            yield DESCRIPTORS / str(handle) if DESCRIPTORS.is_dir() else self.root / place

    @contextmanager
    def _opened(self, place: str, kind: int) -> Iterator[int]:
        """The descriptor of a file or folder of this tree. Raises OSError where it is not of this kind."""
        handle = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            found = os.fstat(handle)
            disk = found.st_dev
            for name in filter(None, place.split("/")):
                outer, handle = handle, os.open(name, WITHIN, dir_fd=handle)
                os.close(outer)
                found = os.fstat(handle)
                if stat.S_ISDIR(found.st_mode) and found.st_dev != disk:
                    raise OSError(errno.EXDEV, "another file system is mounted there")
            if stat.S_IFMT(found.st_mode) != kind:
                raise OSError(errno.EINVAL, f"expected {KINDS[kind]}")
            yield handle
        finally:
            os.close(handle)

    @contextmanager
    def _explained(self, place: str, kind: int) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self.explanation(place, kind, error) from None

    def explanation(self, place: str, kind: int, error: OSError) -> InputError:
        """What is wrong with `place`, or with the first folder on the way that is none."""
        there = next((path for path in (self.root, *self.root.parents) if path.exists()), None)
        if there is not None and not there.is_dir():
            return InputError(f"{there}: is no folder, and nothing can be written there; expected one, or a new name")
        names = place.split("/")
        for count in range(1, len(names) + 1):
            path, expected = self.root.joinpath(*names[:count]), kind if count == len(names) else stat.S_IFDIR
            try:
                found = stat.S_IFMT(path.lstat().st_mode)
            except PermissionError:
                return InputError(f"{path.parent}: not readable ({error.strerror})")
            except OSError:
                break
            if found != expected:
                return InputError(f"{path}: is {KINDS.get(found, 'a device')}; expected {KINDS[expected]}")
        if isinstance(error, FileNotFoundError):
            return InputError(f"{self.root / place}: no such {KINDS[kind].removeprefix('a ')}")
        return InputError(f"{self.root / place}: not readable ({error.strerror})")


def read_regular(path: Path, most_bytes: int | None = None) -> bytes:
    """The bytes of a file that `path` or a link leads to.

    Raises InputError, naming it, where it is missing, not readable, larger than `most_bytes`, or anything but a file: a
    FIFO would block.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        missing = "no such file" if isinstance(error, FileNotFoundError) else f"not readable ({error.strerror})"
        raise InputError(f"{path}: {missing}") from None
    try:
        kind = stat.S_IFMT(os.fstat(handle).st_mode)
        if kind != stat.S_IFREG:
            raise InputError(f"{path}: is {KINDS.get(kind, 'a device')}; expected a file")
        size = os.fstat(handle).st_size
        if most_bytes is not None and size > most_bytes:
            raise InputError(f"{path}: {size} bytes; expected at most {most_bytes}")
        with _reading(handle) as file:
            return file.read()
    finally:
        os.close(handle)


def without_links(path: str, flags: int) -> int:
    """An opener for `open` that follows no link in the last name, and does not wait at a FIFO."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)


def _reading(handle: int) -> BinaryIO:
    """An open file as a Python file, which leaves it open when it is closed."""
    return os.fdopen(handle, "rb", closefd=False)


def _bytes(folder: int, name: str) -> int:
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISDIR(found.st_mode):
            return found.st_size
        handle = os.open(name, WITHIN | os.O_DIRECTORY, dir_fd=folder)
    except OSError:  # deleted while it is measured
        return 0
    try:
        return sum(_bytes(handle, inner) for inner in os.listdir(handle))  # noqa: PTH208 - a descriptor
    finally:
        os.close(handle)


def _remove(folder: int, name: str, mount: str) -> None:
    if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=folder)
        return
    handle = os.open(name, WITHIN | os.O_DIRECTORY, dir_fd=folder)
    try:
        if _mount(handle) != mount:
            return
        for inner in os.listdir(handle):  # noqa: PTH208 - a descriptor
            with suppress(OSError):
                _remove(handle, inner, mount)
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
