"""WenetSpeech: `WenetSpeech.json`, whole or a part (`WenetSpeech.json#S`, #M, #L, #DEV, #TEST_NET, #TEST_MEETING).

One JSON document of gigabytes: {"audios": [{"path", "duration", "segments": [{"sid", "begin_time", "end_time", "text",
"subsets"}]}]}. It is read one recording at a time. Segments are stretches of long Opus recordings beside the document.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from scaling.errors import InputError
from scaling.speech.readers.row import BadRow, Format, Row, Rows, beside

READ_CHARACTERS = 1 << 20
MAX_RECORDING_CHARACTERS = 1 << 28
"""A recording of hours has a few MB of segments; something far larger is no recording (assumption)."""


def _recognises(path: Path) -> bool:
    if not path.is_file() or path.suffix != ".json":
        return False
    with path.open("rb") as stream:
        start = stream.read(4096)
    return start.lstrip().startswith(b"{") and b'"audios"' in start


def _files(path: Path) -> Iterable[Path]:
    return [path]


def _rows(path: Path, part: str) -> Rows:
    for recording in _recordings(path):
        try:
            yield from _segments(recording, path, part)
        except (KeyError, TypeError, ValueError) as error:
            name = recording.get("aid") if isinstance(recording, dict) else recording
            yield BadRow("field missing or of the wrong type", f"{path}: recording {name!r}: {error!r}")


def _segments(recording: Any, path: Path, part: str) -> Iterator[Row]:
    for segment in recording["segments"]:
        if not part or part in segment["subsets"]:
            start, end = float(segment["begin_time"]), float(segment["end_time"])
            if not 0 <= start < end:
                raise ValueError(f"segment {segment['sid']!r} goes from {start} to {end} s")
            yield Row(
                audio=beside(path.parent, str(recording["path"])),
                text=str(segment["text"]),
                id=str(segment["sid"]),
                duration=end - start,
                start=start,
            )


def _recordings(path: Path) -> Iterator[Any]:
    """The entries of "audios", each parsed as soon as it is whole."""
    decoder, held = json.JSONDecoder(), ""
    with path.open(encoding="utf-8", errors="replace") as stream:
        while '"audios"' not in held or "[" not in held.partition('"audios"')[2]:
            held += _more(stream, path)
        held = held.partition('"audios"')[2].partition("[")[2]
        while True:
            held = held.lstrip(" \t\r\n,")
            if held.startswith("]"):
                return
            try:
                recording, end = decoder.raw_decode(held)
            except ValueError:
                if len(held) > MAX_RECORDING_CHARACTERS:
                    raise InputError(f"{path}: not JSON near {held[:40]!r}") from None
                held += _more(stream, path, len(held))
                continue
            yield recording
            held = held[end:]


def _more(stream: Any, path: Path, held: int = 0) -> str:
    """More text, as much as is held, so that a long entry is tried a few times only."""
    read = str(stream.read(max(READ_CHARACTERS, held)))
    if not read:
        raise InputError(f"{path}: ends within its list of recordings; expected the whole document")
    return read


FORMAT = Format(name="WenetSpeech.json", recognises=_recognises, files=_files, rows=_rows, has_parts=True)
