"""What a reader of a corpus yields: a row for each utterance as the corpus describes it, or a bad row."""

import gzip
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from pydantic_core import from_json

from scaling.errors import InputError
from scaling.speech.audio import MIXED, NO_CHANNEL, Clip
from scaling.system.text_bytes import MARK, without_mark

NOT_TOLD = float("nan")
"""A time that the corpus does not give."""

MAX_LINE_BYTES = 1 << 24
"""The longest line of text that is read, so that a file of one endless line cannot fill the memory (assumption)."""

MOST_CHANNELS = 1 << 10
"""Channel numbers are below it, which is the most that libsndfile reads."""

MOST_SECONDS = 1e9
"""Times are below it: 31 years, which no recording lasts."""

EVERY_CHANNEL = "average"
"""How NeMo calls the mean of all channels; to hear it, the study must say so, too."""

parse_json = partial(from_json, allow_inf_nan=False)
"""The value in bytes of JSON. Raises ValueError where the bytes are no JSON."""


class Row(NamedTuple):
    """One utterance as a corpus describes it, unchecked.

    `audio` is a path. `start` is in seconds from the beginning of the recording, NOT_TOLD where the utterance is the
    whole recording; `duration` is in seconds, and where it is NOT_TOLD, a stretch goes on to the end. `channel` counts
    from 0 (see `Clip`). Where the recording is a member of a file, it is the `size` bytes from `offset`, and `member`
    is its name there. `line` counts from 1. `text` is None where the corpus gives none.
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
    channel: int = NO_CHANNEL
    member: str = ""

    @property
    def clip(self) -> Clip:
        """Where the audio of the utterance lies."""
        is_whole = math.isnan(self.start)
        return Clip(
            path=Path(self.audio),
            offset=self.offset,
            size=None if self.size < 0 else self.size,
            start=None if is_whole else self.start,
            seconds=None if is_whole or math.isnan(self.duration) else self.duration,
            channel=self.channel,
        )

    @property
    def mixed(self) -> "Row":
        """The utterance heard as the mean of all channels where none is named."""
        return self._replace(channel=MIXED) if self.channel == NO_CHANNEL else self

    @property
    def name(self) -> str:
        """The id of the utterance, or the name of its recording where it has no id."""
        return self.id or self.member or file_stem(self.audio)


class BadRow(NamedTuple):
    """A row that cannot be read: the kind of fault, and where it is, with the value and what was expected."""

    kind: str
    detail: str


class RowError(ValueError):
    """What makes a row a bad row of this kind."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


Rows = Iterator[Row | BadRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A layout of corpora.

    `files` lists every file, except audio, whose change changes the corpus: the path alone where nothing else is said.
    `rows` reads the corpus at a path; where the format `has_parts`, it reads the part of the given name, or all of the
    corpus for "".
    """

    name: str
    recognises: Callable[[Path], bool]
    files: Callable[[Path], Iterable[Path]] = lambda path: [path]
    rows: Callable[[Path, str], Rows]
    has_parts: bool = False


def lines(path: Path) -> Iterator[tuple[int, str | BadRow]]:
    """The lines of a text file, gzipped or not, with their numbers; blank lines and byte order marks are skipped.

    A line that is not UTF-8 is a bad row. Raises InputError where the file cannot be read, is UTF-16, or has a line of
    over 16 MiB.
    """
    for number, line in raw_lines(path):
        try:
            yield number, line.decode()
        except UnicodeDecodeError as error:
            yield number, BadRow("not UTF-8", f"{path}, line {number}: {error.reason} at byte {error.start}")


def parsed_lines(path: Path) -> Iterator[tuple[str, int, Any]]:
    """The place of each line as text, its number, and its JSON value or a bad row; as `raw_lines`."""
    for number, line in raw_lines(path):
        where = f"{path}, line {number}"
        try:
            yield where, number, parse_json(line)
        except ValueError as error:
            yield where, number, BadRow("not JSON", f"{where}: {error}")


def raw_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """As `lines`, but undecoded."""
    try:
        with opened(path) as stream:
            number = 0
            while line := stream.readline(MAX_LINE_BYTES):
                number += 1
                line = without_mark(line, str(path)) if number == 1 else line.removeprefix(MARK)  # of files joined
                if len(line) == MAX_LINE_BYTES:
                    raise InputError(f"{path}, line {number}: over {MAX_LINE_BYTES} bytes; expected shorter lines")
                if stripped := line.strip():
                    yield number, stripped
    except (OSError, EOFError) as error:  # these include the errors of gzip
        raise InputError(f"{path}: not readable ({getattr(error, 'strerror', None) or error})") from error


def file_stem(path: str) -> str:
    """The name of a file without folders and ending.

    >>> file_stem("a/b.c.wav"), file_stem(".wav")
    ('b.c', '.wav')
    """
    name = path.rpartition("/")[2]
    return name.rpartition(".")[0] or name


def given(values: Mapping[str, Any], *names: str) -> Any:
    """The first of these fields that has a value; None, which is also JSON's null, where none has."""
    return next((value for name in names if (value := values.get(name)) is not None), None)


def label(values: Mapping[str, Any], *names: str) -> str:
    """The first field with a value, as text; empty for blanks. Raises ValueError for all but text and numbers."""
    value = given(values, *names)
    if isinstance(value, bool | list | dict):
        raise ValueError(  # noqa: TRY004  as for any other value that a row may not have
            f"{' or '.join(names)} must be text or a number, not {value!r:.80}"
        )
    return "" if value is None or str(value).isspace() else str(value)


def channel_number(value: Any) -> int:
    """A channel from 0, also in a list; NO_CHANNEL for none or all (`average`). Raises ValueError for anything else."""
    if isinstance(value, list) and len(value) == 1:
        (value,) = value
    if value is None or value == EVERY_CHANNEL:
        return NO_CHANNEL
    if type(value) in (int, float) and 0 <= value < MOST_CHANNELS and value == int(value):  # tables hold 1 as 1.0
        return int(value)
    raise ValueError(
        f"channel must be one whole number, 0 or more, not {value!r}; name none, and all are mixed where the study says"
        " so (mix_channels)"
    )


def seconds(value: Any, name: str) -> float:
    """A time as a corpus tells it, a number or text of one. Raises ValueError, naming the field, for anything else."""
    try:
        time = float(value) if type(value) in (int, float, str) else NOT_TOLD
    except (ValueError, OverflowError):
        time = NOT_TOLD
    if 0 <= time < MOST_SECONDS:
        return time
    raise ValueError(f"{name} must be seconds, not {value!r:.80}")


def opened(path: Path) -> IO[bytes]:
    """The bytes of a file, decompressed where its name ends in .gz."""
    return cast("IO[bytes]", gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def beside(base: Path, written: str) -> str:
    """A path as written in a file of the folder `base`."""
    return written if written.startswith("/") else f"{base}/{written}"
