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
from scaling.system.folder_contents import WITHIN, bytes_of, remove

APPENDING = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

DESCRIPTORS = Path("/proc/self/fd")
"""Where Linux shows the open files of a process, by their numbers."""

MOST_RECORD_BYTES = 50_000_000
"""The largest record, such as a result: a thousand times those of real studies (assumption). A file may say that it is
larger than any memory and hold nothing."""

MOST_BYTES = 1_000_000_000
"""The largest file that is read at once, such as a table of 200,000 runs (assumption: machines have the memory)."""

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

    def read(self, place: str, most_bytes: int = MOST_RECORD_BYTES) -> bytes:
        """The bytes of a regular file of at most `most_bytes`. Raises InputError, naming it, for anything else."""
        with self.open(place) as file:
            return _read(file, most_bytes, f"{self.root}/{place}")

    @contextmanager
    def open(self, place: str) -> Iterator[BinaryIO]:
        """A file, open for reading while this lasts. Raises InputError as `read`."""
        file_kind = stat.S_IFREG
        with self._explained(place, file_kind), self._opened(place, file_kind) as handle, _reading(handle) as file:
            yield file

    @contextmanager
    def appending(self, place: str) -> Iterator[BinaryIO]:
        """A file open for appending, in folders made for it. Raises InputError for a link or FIFO in the way."""
        parent, _, name = place.rpartition("/")
        self.make_folder(parent)
        with self._explained(place, stat.S_IFREG), self._opened(parent, stat.S_IFDIR) as folder:
            handle = os.open(name, APPENDING, 0o666, dir_fd=folder)
            with os.fdopen(handle, "ab") as file:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    raise OSError(errno.EINVAL, "expected a file")
                yield file

    def make_folder(self, place: str) -> None:
        """Make a folder, and those around it, where they are missing. Raises InputError where that cannot be."""
        self.root.mkdir(parents=True, exist_ok=True)
        names = place.split("/") if place else []
        for count, name in enumerate(names):
            inner = "/".join(names[: count + 1])
            outer = self._opened("/".join(names[:count]), stat.S_IFDIR)
            with self._explained(inner, stat.S_IFDIR), outer as folder, suppress(FileExistsError):
                os.mkdir(name, dir_fd=folder)
        with self.folder(place):
            pass

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
        """Names in a folder, sorted, and which are folders; empty if missing. Raises InputError for what is none."""
        try:
            with self._opened(place, stat.S_IFDIR) as handle, os.scandir(handle) as entries:
                return dict(sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries))
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
            return bytes_of(handle, name)
        return 0

    def age(self, place: str, now: float) -> float:
        """Seconds since `place`, which may be a link, was changed; 0 where it is missing."""
        parent, _, name = place.rpartition("/")
        with suppress(OSError), self._opened(parent, stat.S_IFDIR) as handle:
            return now - os.stat(name, dir_fd=handle, follow_symlinks=False).st_mtime
        return 0.0

    def remove(self, place: str) -> None:
        """Delete a file, a folder with its content, or a link. What cannot be deleted, or is a mount, stays."""
        parent, _, name = place.rpartition("/")
        with suppress(OSError), self._opened(parent, stat.S_IFDIR) as handle:
            remove(handle, name)

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
            status = os.fstat(handle)
            disk = status.st_dev
            for name in filter(None, place.split("/")):
                outer, handle = handle, os.open(name, WITHIN, dir_fd=handle)
                os.close(outer)
                status = os.fstat(handle)
                if stat.S_ISDIR(status.st_mode) and status.st_dev != disk:
                    raise OSError(errno.EXDEV, "another file system is mounted there")
            if stat.S_IFMT(status.st_mode) != kind:
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
                kind_there = stat.S_IFMT(path.lstat().st_mode)
            except PermissionError:
                return InputError(f"{path.parent}: not readable ({error.strerror})")
            except OSError:
                break
            if kind_there != expected:
                return InputError(f"{path}: is {KINDS.get(kind_there, 'a device')}; expected {KINDS[expected]}")
        if isinstance(error, FileNotFoundError):
            return InputError(f"{self.root / place}: no such {KINDS[kind].removeprefix('a ')}")
        return InputError(f"{self.root / place}: not readable ({error.strerror})")


def read_regular(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
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
        with _reading(handle) as file:
            return _read(file, most_bytes, str(path))
    finally:
        os.close(handle)


@contextmanager
def appending(log_file: Path) -> Iterator[BinaryIO]:
    """A log in a folder of a study's folder, as `InnerFiles.appending`."""
    with InnerFiles(log_file.parent.parent).appending(f"{log_file.parent.name}/{log_file.name}") as file:
        yield file


def without_links(path: str, flags: int) -> int:
    """An opener for `open` that follows no link in the last name, and does not wait at a FIFO."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)


def _read(file: BinaryIO, most_bytes: int, name: str) -> bytes:
    """The bytes of an open file that holds at most so many, also where it grows meanwhile."""
    size = os.fstat(file.fileno()).st_size
    if size > most_bytes:
        raise InputError(f"{name}: {size} bytes; expected at most {most_bytes}")
    return file.read(most_bytes)


def _reading(handle: int) -> BinaryIO:
    """An open file as a Python file, which leaves it open when it is closed."""
    return os.fdopen(handle, "rb", closefd=False)
