"""WenetSpeech: `WenetSpeech.json`, whole or a part (`WenetSpeech.json#S`, #M, #L, #DEV, #TEST_NET, #TEST_MEETING).

One JSON document of gigabytes: {"audios": [{"path", "duration", "segments": [{"sid", "begin_time", "end_time", "text",
"subsets"}]}]}. It is read one recording at a time, by the decoder of the standard library because it can stop
at the end of a value. Segments are stretches of long Opus recordings beside the document.
"""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scaling.errors import InputError
from scaling.speech.readers.row import BadRow, Format, Row, Rows, beside, label, seconds

READ_CHARACTERS = 1 << 20
MAX_RECORDING_CHARACTERS = 1 << 28
"""The longest description of a recording that is read (assumption: hours of speech take a few MB)."""


def _recognises(path: Path) -> bool:
    if not path.is_file() or path.suffix != ".json":
        return False
    with path.open("rb") as stream:
        start = stream.read(4096).removeprefix(codecs.BOM_UTF8)
    return start.lstrip().startswith(b"{") and b'"audios"' in start


def _rows(path: Path, part: str) -> Rows:
    for recording in _recordings(path):
        try:
            segments = list(recording["segments"])
        except (KeyError, TypeError) as error:
            yield _bad_row(path, recording, error)
            continue
        for segment in segments:
            try:
                if not part or part in segment["subsets"]:
                    yield _row(segment, beside(path.parent, str(recording["path"])))
            except (KeyError, TypeError, ValueError) as error:
                yield _bad_row(path, recording, error)


def _bad_row(path: Path, recording: Any, error: Exception) -> BadRow:
    name = recording.get("aid") if isinstance(recording, dict) else recording
    kind = "not UTF-8" if isinstance(error, UnicodeEncodeError) else "field missing or of the wrong type"
    return BadRow(kind, f"{path}: recording {name!r:.80}: {error!r:.200}")


def _row(segment: Any, audio: str) -> Row:
    start, end = seconds(segment["begin_time"], "begin_time"), seconds(segment["end_time"], "end_time")
    if not start < end:
        raise ValueError(f"segment {segment['sid']!r} goes from {start} to {end} s")
    text = segment["text"]
    if isinstance(text, str):
        text.encode()  # raises UnicodeEncodeError for bytes that were not UTF-8
    written = None if text is None else str(text)
    return Row(audio, written, id=label(segment, "sid"), duration=end - start, start=start)


def _recordings(path: Path) -> Iterator[Any]:
    """The entries of "audios", each parsed as soon as it is complete."""
    decoder, text = json.JSONDecoder(), ""
    with path.open(encoding="utf-8", errors="surrogateescape") as stream:
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


FORMAT = Format(name="WenetSpeech.json", recognises=_recognises, rows=_rows, has_parts=True)
