"""Kaldi data directories: `wav.scp`, `text` (in AISHELL-2 `trans.txt`), and optional `segments`, `utt2spk`, `utt2dur`
and `reco2file_and_channel`.

A line of `segments` may end in a channel, from 0, and its end may be -1, which is the recording's end. The third field
of `reco2file_and_channel` (A, B and so on, or 1, 2) names the channel of recordings of several channels; those of one
are that channel, cut out already. Paths in wav.scp start at the folder. A pipe (`sox ... |`) is a bad row: commands of
a corpus are never run.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scaling.speech.audio import NO_CHANNEL, AudioError, Clip, read_header
from scaling.speech.readers.row import (
    NOT_TOLD,
    BadRow,
    Format,
    Row,
    RowError,
    Rows,
    beside,
    channel_number,
    lines,
    seconds,
)

TRANSCRIPTS = ("text", "trans.txt")
TABLES = ("segments", "utt2spk", "utt2dur", "reco2file_and_channel")

TO_THE_END = -1.0
"""The end of a segment that goes on to the end of its recording."""


def _recognises(path: Path) -> bool:
    return (path / "wav.scp").is_file() and any((path / name).is_file() for name in TRANSCRIPTS)


def _files(path: Path) -> Iterable[Path]:
    names = ("wav.scp", *TRANSCRIPTS, *TABLES)
    return [path / name for name in names if (path / name).is_file()]


def _rows(path: Path, _part: str) -> Rows:
    bad_rows: list[BadRow] = []
    recordings = _table(path / "wav.scp", bad_rows)
    segments, speakers, durations, channels = (_table(path / name, bad_rows) for name in TABLES)
    sides = _Sides(path, recordings, channels)
    transcript = next(path / name for name in TRANSCRIPTS if (path / name).is_file())
    for number, line in lines(transcript):
        if isinstance(line, BadRow):
            yield line
            continue
        identity, text = _split(line)
        where = f"{transcript}, line {number}"
        stretch = _Stretch(identity, duration=_seconds(durations.get(identity, "")))
        try:
            if (path / "segments").is_file():
                stretch = _segment(identity, segments.get(identity, ""))
            audio = recordings.get(stretch.recording)
            if audio is None:
                yield BadRow("no recording", f"{where}: {stretch.recording!r} is not in wav.scp")
            elif audio.endswith("|"):
                detail = f"{stretch.recording!r} is the command {audio!r}"
                yield BadRow("pipe instead of a file", f"{path / 'wav.scp'}: {detail}")
            else:
                yield Row(
                    audio=beside(path, audio),
                    text=text,
                    id=identity,
                    speaker=speakers.get(identity, ""),
                    duration=stretch.duration,
                    start=stretch.start,
                    line=number,
                    channel=sides.channel(stretch.recording) if stretch.channel == NO_CHANNEL else stretch.channel,
                )
        except RowError as error:
            yield BadRow(error.kind, f"{where}: {error}")
    yield from bad_rows


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A stretch of a recording: all of it where `start` is NOT_TOLD."""

    recording: str
    start: float = NOT_TOLD
    duration: float = NOT_TOLD
    channel: int = NO_CHANNEL


def _segment(identity: str, line: str) -> _Stretch:
    """The stretch that a line of `segments` names: RECORDING START END, and perhaps CHANNEL."""
    fields = line.split()
    if len(fields) not in (3, 4):
        expected = "RECORDING START END or RECORDING START END CHANNEL"
        raise RowError("no segment", f"{identity!r} is not in segments, or not with {expected}")
    recording, start, end = fields[0], _seconds(fields[1]), _seconds(fields[2])
    to_the_end = end == TO_THE_END
    if not (start >= 0 and (to_the_end or end > start)):
        expected = "expected seconds, the end after the start or -1"
        raise RowError("no segment", f"{identity!r} goes from {fields[1]} to {fields[2]} s; {expected}")
    channel = NO_CHANNEL
    if len(fields) == 4 and fields[3] != str(NO_CHANNEL):
        try:
            channel = channel_number(int(fields[3]))
        except ValueError:
            detail = f"{identity!r} is on channel {fields[3]!r} in segments; expected a number from 0"
            raise RowError("no such channel", detail) from None
    return _Stretch(recording, start, NOT_TOLD if to_the_end else end - start, channel)


class _Sides:
    """The channel of each recording by `reco2file_and_channel`."""

    def __init__(self, folder: Path, recordings: dict[str, str], lines_by_recording: dict[str, str]) -> None:
        self._folder, self._recordings, self._lines = folder, recordings, lines_by_recording
        self._known: dict[str, int] = {}

    def channel(self, recording: str) -> int:
        """The number of the channel, NO_CHANNEL where none is named or the recording has one."""
        if recording not in self._lines:
            return NO_CHANNEL
        if recording not in self._known:
            self._known[recording] = self._look_up(recording)
        return self._known[recording]

    def _look_up(self, recording: str) -> int:
        name = (self._lines[recording].split() or [""])[-1].upper()
        if len(name) == 1 and name.isascii() and name.isalpha():
            number = ord(name) - ord("A")
        elif name.isdecimal() and int(name) >= 1:
            number = int(name) - 1
        else:
            detail = f"{recording!r} is on channel {name!r} in reco2file_and_channel; expected A, B or 1, 2"
            raise RowError("no such channel", detail)
        try:
            channels = read_header(Clip(path=Path(beside(self._folder, self._recordings[recording])))).channels
        except AudioError:
            return number  # the audio is refused where all headers are read
        return number if channels > 1 else NO_CHANNEL


def _table(path: Path, bad_rows: list[BadRow]) -> dict[str, str]:
    """From the first word to the rest of each line; empty without a file. Of two lines the second is a bad row."""
    table: dict[str, str] = {}
    if path.is_file():
        for number, line in lines(path):
            if isinstance(line, BadRow):
                bad_rows.append(line)
                continue
            name, rest = _split(line)
            if table.setdefault(name, rest) != rest:
                detail = f"{name!r} again with {rest!r:.80}; expected each name once, as with {table[name]!r:.80}"
                bad_rows.append(BadRow("repeated name", f"{path}, line {number}: {detail}"))
    return table


def _split(line: str) -> tuple[str, str]:
    name, *rest = line.split(maxsplit=1)
    return name, rest[0] if rest else ""


def _seconds(text: str) -> float:
    try:
        return TO_THE_END if float(text) == TO_THE_END else seconds(text, "time")
    except ValueError:
        return NOT_TOLD


FORMAT = Format(
    name="Kaldi data directory (wav.scp with text or trans.txt)", recognises=_recognises, files=_files, rows=_rows
)
