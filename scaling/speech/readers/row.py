"""What a reader of a corpus yields: a row for each utterance as the corpus describes it, or a bad row."""

import gzip
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple, cast

from pydantic_core import from_json

from scaling.errors import InputError
from scaling.speech.audio import Clip

NOT_TOLD = float("nan")
"""A time that the corpus does not give."""

MAX_LINE_BYTES = 1 << 24
"""The longest line of text that is read, so that a file of one endless line cannot fill the memory (assumption)."""

parse_json = partial(from_json, allow_inf_nan=False)
"""The value in bytes of JSON. Raises ValueError where the bytes are no JSON."""


class Row(NamedTuple):
    """One utterance as a corpus describes it, unchecked.

    `audio` is a path. `start` is in seconds from the beginning of the recording, NOT_TOLD where the utterance is the
    whole recording; `duration` is in seconds. Where the recording is a member of a file, it is the `size` bytes from
    `offset`. `line` counts from 1. `text` is None where the corpus gives none.
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
        """Where the audio of the utterance lies."""
        is_whole = math.isnan(self.start)
        return Clip(
            path=Path(self.audio),
            offset=self.offset,
            size=None if self.size < 0 else self.size,
            start=None if is_whole else self.start,
            seconds=None if is_whole else self.duration,
        )

    @property
    def name(self) -> str:
        """The id of the utterance, or the name of its audio file where it has no id."""
        file_name = self.audio.rpartition("/")[2]
        return self.id or file_name.rpartition(".")[0] or file_name


class BadRow(NamedTuple):
    """A row that cannot be read: the kind of fault, and where it is, with the value and what was expected."""

    kind: str
    detail: str


Rows = Iterator[Row | BadRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A layout of corpora.

    `files` lists every file, except audio, whose change changes the corpus. `rows` reads the corpus at a path; where
    the format `has_parts`, it reads the part of the given name, or all of the corpus for "".
    """

    name: str
    recognises: Callable[[Path], bool]
    files: Callable[[Path], Iterable[Path]]
    rows: Callable[[Path, str], Rows]
    has_parts: bool = False


def lines(path: Path) -> Iterator[tuple[int, str | BadRow]]:
    """The lines of a text file, gzipped or not, with their numbers; blank lines are skipped.

    A line that is not UTF-8 is a bad row. Raises InputError where the file cannot be read or a line is over 16 MiB.
    """
    for number, line in raw_lines(path):
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            yield number, BadRow("not UTF-8", f"{path}, line {number}: {error.reason} at byte {error.start}")
            continue
        yield number, text.removeprefix("\ufeff") if number == 1 else text


def raw_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """As `lines`, but undecoded."""
    try:
        with opened(path) as stream:
            number = 0
            while line := stream.readline(MAX_LINE_BYTES):
                number += 1
                if len(line) == MAX_LINE_BYTES:
                    raise InputError(f"{path}, line {number}: over {MAX_LINE_BYTES} bytes; expected shorter lines")
                if stripped := line.strip():
                    yield number, stripped
    except (OSError, EOFError) as error:  # these include the errors of gzip
        raise InputError(f"{path}: not readable ({getattr(error, 'strerror', None) or error})") from error


def opened(path: Path) -> IO[bytes]:
    """The bytes of a file, decompressed where its name ends in .gz."""
    return cast("IO[bytes]", gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def beside(base: Path, written: str) -> str:
    """A path as written in a file of the folder `base`."""
    return written if written.startswith("/") else f"{base}/{written}"
