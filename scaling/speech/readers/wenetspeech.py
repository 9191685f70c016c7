"""WenetSpeech: `WenetSpeech.json`, whole or a part (`WenetSpeech.json#S`, #M, #L, #DEV, #TEST_NET, #TEST_MEETING).

One JSON document of gigabytes: {"audios": [{"path", "duration", "segments": [{"sid", "begin_time", "end_time", "text",
"subsets"}]}]}. It is read one recording at a time, by the decoder of the standard library because it can stop
at the end of a value. Segments are stretches of long Opus recordings beside the document.
"""

import codecs
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from scaling.errors import InputError
from scaling.speech.readers.row import BadRow, Format, Row, Rows, beside, label

READ_CHARACTERS = 1 << 20
MAX_RECORDING_CHARACTERS = 1 << 28
"""The longest description of a recording that is read (assumption: hours of speech take a few MB)."""


def _recognises(path: Path) -> bool:
    if not path.is_file() or path.suffix != ".json":
        return False
    with path.open("rb") as stream:
        start = stream.read(4096).removeprefix(codecs.BOM_UTF8)
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
                text=None if segment["text"] is None else str(segment["text"]),
                id=label(segment, "sid"),
                duration=end - start,
                start=start,
            )


def _recordings(path: Path) -> Iterator[Any]:
    """The entries of "audios", each parsed as soon as it is complete."""
    decoder, text = json.JSONDecoder(), ""
    with path.open(encoding="utf-8", errors="replace") as stream:
        while '"audios"' not in text or "[" not in text.partition('"audios"')[2]:
            text += _more(stream, path)
        text = text.partition('"audios"')[2].partition("[")[2]
        while True:
            text = text.lstrip(" \t\r\n,")
            if text.startswith("]"):
                return
            try:
                recording, end = decoder.raw_decode(text)
            except ValueError:
                if len(text) > MAX_RECORDING_CHARACTERS:
                    raise InputError(f"{path}: not JSON near {text[:40]!r}") from None
                text += _more(stream, path, len(text))
                continue
            yield recording
            text = text[end:]


def _more(stream: Any, path: Path, length: int = 0) -> str:
    """The next characters. As many are read as there are already: the parser tries a long entry a few times only."""
    characters = str(stream.read(max(READ_CHARACTERS, length)))
    if not characters:
        raise InputError(f"{path}: ends within its list of recordings; expected the whole document")
    return characters


FORMAT = Format(name="WenetSpeech.json", recognises=_recognises, files=_files, rows=_rows, has_parts=True)
