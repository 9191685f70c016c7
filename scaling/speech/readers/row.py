"""What every reader of a corpus yields: rows as they are written there, and faults where there is none to read."""

import gzip
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, cast

from scaling.errors import InputError
from scaling.speech.audio import Clip

NOT_TOLD = float("nan")

MAX_LINE_BYTES = 1 << 24
"""The longest line of text that is read: a bomb of one line must not fill the memory (assumption)."""


class Row(NamedTuple):
    """One utterance as a corpus describes it; nothing of it is believed yet.

    `audio` is a path. `start` is NOT_TOLD for a whole recording, else seconds into it; `duration` in seconds. A member
    of a file has `size` bytes from `offset`. `line` counts from 1 in what was read. `text` is None where none is given.
    """

    audio: str
    text: str | None
    id: str = ""
    speaker: str = ""
    duration: float = NOT_TOLD
    start: float = NOT_TOLD
    offset: int = 0
    size: int = -1
    line: int = 0

    @property
    def clip(self) -> Clip:
        """Where its audio lies."""
        whole = math.isnan(self.start)
        return Clip(
            path=Path(self.audio),
            offset=self.offset,
            size=None if self.size < 0 else self.size,
            start=None if whole else self.start,
            seconds=None if whole else self.duration,
        )

    @property
    def name(self) -> str:
        """Its id, or the name of the audio file where it has none."""
        return self.id or _stem(self.audio)


def _stem(path: str) -> str:
    name = path.rpartition("/")[2]
    return name.rpartition(".")[0] or name


class BadRow(NamedTuple):
    """A row that cannot be read: what kind of fault, and where, with the value and what was expected."""

    kind: str
    detail: str


Rows = Iterator[Row | BadRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A way to write down a corpus.

    `files` are those that a change of the corpus would change, but for its audio; `rows` reads a path, or where the
    format `has_parts` the part of that name (all of it for "").
    """

    name: str
    recognises: Callable[[Path], bool]
    files: Callable[[Path], Iterable[Path]]
    rows: Callable[[Path, str], Rows]
    has_parts: bool = False


def lines(path: Path) -> Iterator[tuple[int, str | BadRow]]:
    """Lines that are not blank, with their numbers, of a text file or a gzipped one; a fault for one not in UTF-8.

    Raises InputError where the file cannot be read or a line is longer than 16 MiB.
    """
    for number, line in raw_lines(path):
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            yield number, BadRow("not UTF-8", f"{path}, line {number}: {error.reason} at byte {error.start}")
            continue
        yield number, text.removeprefix("\ufeff") if number == 1 else text


def raw_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """As `lines`, undecoded."""
    try:
        with opened(path) as stream:
            number = 0
            while line := stream.readline(MAX_LINE_BYTES):
                number += 1
                if len(line) == MAX_LINE_BYTES:
                    raise InputError(f"{path}, line {number}: over {MAX_LINE_BYTES} bytes; expected shorter lines")
                if stripped := line.strip():
                    yield number, stripped
    except (OSError, EOFError) as error:  # gzip's own errors are among them
        raise InputError(f"{path}: not readable ({getattr(error, 'strerror', None) or error})") from error


def opened(path: Path) -> IO[bytes]:
    """The bytes of a file, unpacked where its name ends in .gz."""
    return cast("IO[bytes]", gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def beside(base: Path, written: str) -> str:
    """A path as written in a file of the folder `base`."""
    return written if written.startswith("/") else f"{base}/{written}"
