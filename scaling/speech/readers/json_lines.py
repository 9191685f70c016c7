"""NeMo and WeNet manifests: JSON lines, one utterance in each line.

NeMo's fields are `audio_filepath`, `text` and, optionally, `speaker`, `id`, `duration`, `offset` and `channel`; WeNet's
are `wav`, `txt` and `key`. A field that is null is absent. Paths start at the folder of the manifest. A row with an
`offset` (in seconds) is a stretch of `duration` seconds of a longer recording, and one with a `channel` (from 0) is
that channel.
"""

from math import isnan
from pathlib import Path
from typing import Any

from scaling.speech.readers.row import (
    NOT_TOLD,
    BadRow,
    Format,
    Row,
    Rows,
    beside,
    channel_number,
    given,
    label,
    parsed_lines,
    seconds,
)

SUFFIXES = (".jsonl", ".json", ".ndjson", ".list", ".manifest")


def is_json_lines(path: Path) -> bool:
    """Whether a file is JSON lines by the end of its name, gzipped or not."""
    return Path(path.name.removesuffix(".gz")).suffix.lower() in SUFFIXES


def _rows(path: Path, _part: str) -> Rows:
    base = path.parent
    for where, number, values in parsed_lines(path):
        try:
            yield values if isinstance(values, BadRow) else _row(values, base, number)
        except ValueError as error:
            yield BadRow("field missing or of the wrong type", f"{where}: {error}")


def _row(values: Any, base: Path, number: int) -> Row:
    if type(values) is not dict:
        raise ValueError(f"expected an object, found {type(values).__name__}")
    audio, text = given(values, "audio_filepath", "wav"), given(values, "text", "txt")
    if type(audio) is not str or not (text is None or type(text) is str):
        raise ValueError(_wrong("audio_filepath (or wav)", audio, values) or _wrong("text", text, values))
    duration, start = (
        NOT_TOLD if values.get(name) is None else seconds(values[name], name) for name in ("duration", "offset")
    )
    if isnan(duration) and not isnan(start):
        raise ValueError("offset without duration; expected both, or none for the whole recording")
    return Row(
        audio=beside(base, audio),
        text=text,
        id=label(values, "id", "key"),
        speaker=label(values, "speaker"),
        duration=duration,
        start=start,
        line=number,
        channel=channel_number(values.get("channel")),
    )


def _wrong(name: str, value: Any, values: dict[str, Any]) -> str:
    if value is None:
        return f"no field {name}; it has {', '.join(sorted(values)) or 'none'}"
    return "" if isinstance(value, str) else f"{name} must be a string, not {value!r}"


FORMAT = Format(
    name="NeMo or WeNet JSON lines", recognises=lambda path: path.is_file() and is_json_lines(path), rows=_rows
)
