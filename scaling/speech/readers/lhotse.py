"""Lhotse: CutSets (`cuts.jsonl.gz`), supervisions with the recordings beside them, and Shar folders.

A cut with one supervision is one utterance; a cut with several supervisions is an utterance for each of them. It is
heard on the channel that the cut or the supervision names, in the source that has it. Relative paths start at the
folder of the manifest. A recording that comes from a command, a URL or memory, or that has a transform, is a bad row:
FLOPs are counted for the audio that is read.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from scaling.speech.audio import NO_CHANNEL
from scaling.speech.readers import tar_shards
from scaling.speech.readers.row import (
    NOT_TOLD,
    BadRow,
    Format,
    Row,
    Rows,
    beside,
    channel_number,
    label,
    parse_json,
    raw_lines,
)

JsonObject = dict[str, Any]

NAMES = (".jsonl", ".jsonl.gz")
WHOLE_SECONDS = 0.001
"""A cut whose length is this close to that of its recording is the whole recording: lhotse rounds times."""


class _UnsupportedRecordingError(ValueError):
    """A recording that is more than one audio file."""


def _parsed(path: Path) -> Iterator[tuple[str, int, Any]]:
    """The place of each line as text, its number, and its object or a bad row."""
    for number, line in raw_lines(path):
        where = f"{path}, line {number}"
        try:
            yield where, number, parse_json(line)
        except ValueError as error:
            yield where, number, BadRow("not JSON", f"{where}: {error}")


def _checked(where: str, rows: Iterable[Row]) -> Rows:
    try:
        yield from rows
    except _UnsupportedRecordingError as error:
        yield BadRow("recording that is not one audio file", f"{where}: {error}")
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        yield BadRow("field missing or of the wrong type", f"{where}: {error!r}")


def _cuts(path: Path, _part: str) -> Rows:
    for where, number, cut in _parsed(path):
        yield from [cut] if isinstance(cut, BadRow) else _checked(where, _of_cut(cut, path.parent, number))


def _of_cut(cut: JsonObject, base: Path, number: int) -> Iterator[Row]:
    kind = cut.get("type", "MonoCut")
    if kind not in ("MonoCut", "MultiCut"):
        raise _UnsupportedRecordingError(f"a {kind}; expected a MonoCut or MultiCut of one recording")
    recording, start = cut["recording"], float(cut["start"])
    for speech, first, duration in _utterances(cut):
        by_cut, by_speech = cut.get("channel"), speech.get("channel")  # a MultiCut's are those of all its speakers
        named = by_speech if by_cut is None or (kind == "MultiCut" and by_speech is not None) else by_cut
        yield _row({**speech, "channel": named}, recording, base, start + first, duration, number)


def _utterances(cut: JsonObject) -> Iterator[tuple[JsonObject, float, float]]:
    """Each supervision of a cut, its start in the cut and its duration, in seconds."""
    supervisions = cut["supervisions"]
    if len(supervisions) == 1:
        yield {**supervisions[0], "id": cut["id"]}, 0.0, float(cut["duration"])
        return
    if not supervisions:
        raise ValueError("no supervision")
    for supervision in supervisions:
        yield supervision, float(supervision["start"]), float(supervision["duration"])


def _row(speech: JsonObject, recording: JsonObject, base: Path, start: float, duration: float, line: int) -> Row:
    if recording.get("transforms"):
        raise _UnsupportedRecordingError(f"recording {recording['id']!r} has transforms; expected it as recorded")
    source, channel = _source(recording, speech.get("channel"))
    is_whole = start == 0 and abs(duration - float(recording["duration"])) < WHOLE_SECONDS
    return Row(
        audio=beside(base, str(source["source"])),
        text=_text(speech),
        id=label(speech, "id"),
        speaker=label(speech, "speaker"),
        duration=duration,
        start=NOT_TOLD if is_whole else start,
        line=line,
        channel=channel,
    )


def _source(recording: JsonObject, named: Any) -> tuple[JsonObject, int]:
    """The file that has the channel of this name, and the channel's number in it.

    lhotse names channels of a recording; its sources say which of them each file has, in order.
    """
    sources, name = recording["sources"], recording["id"]
    is_all = isinstance(named, list) and sorted(named) == sorted(recording.get("channel_ids") or [])
    channel = NO_CHANNEL if is_all and len(named) > 1 else channel_number(named)
    if channel != NO_CHANNEL:
        sources = [source for source in sources if channel in source["channels"]]
        if not sources:
            raise _UnsupportedRecordingError(f"recording {name!r} has no channel {channel}")
    source, *more = sources
    if source["type"] != "file" or more:
        raise _UnsupportedRecordingError(f"recording {name!r} is {source['type']}; expected one file")
    return source, channel if channel == NO_CHANNEL else source["channels"].index(channel)


def _text(speech: JsonObject) -> str | None:
    text = speech.get("text")
    return text if isinstance(text, str) else None


def _supervisions(path: Path, _part: str) -> Rows:
    recordings: JsonObject = {}
    for where, _, recording in _parsed(_recordings_of(path)):
        if isinstance(recording, dict) and "id" in recording:
            recordings[recording["id"]] = recording
        else:
            yield recording if isinstance(recording, BadRow) else BadRow("recording without an id", where)
    for where, number, speech in _parsed(path):
        if isinstance(speech, BadRow):
            yield speech
        else:
            yield from _checked(where, _of_supervision(speech, recordings, path.parent, number))


def _of_supervision(speech: JsonObject, recordings: JsonObject, base: Path, number: int) -> Iterator[Row]:
    recording = recordings[speech["recording_id"]]
    yield _row(speech, recording, base, float(speech["start"]), float(speech["duration"]), number)


def _recordings_of(path: Path) -> Path:
    return path.with_name(path.name.replace("supervisions", "recordings"))


def _shar(path: Path, _part: str) -> Rows:
    for cuts in sorted(path.glob("cuts.*.jsonl*")):
        shard = path / f"recording.{cuts.name.split('.')[1]}.tar"
        places: dict[str, tuple[int, int]] = {}
        for member in tar_shards.members(shard):
            if isinstance(member, BadRow):
                yield member
            elif member[1] in tar_shards.AUDIO:
                places[member[0]] = member[2:]
        for where, number, cut in _parsed(cuts):
            if isinstance(cut, BadRow):
                yield cut
            else:
                yield from _checked(where, _of_shard(cut, places, shard, number))


def _of_shard(cut: JsonObject, places: dict[str, tuple[int, int]], shard: Path, number: int) -> Iterator[Row]:
    offset, size = places[cut["id"]]
    has_many = len(cut["supervisions"]) > 1
    for speech, first, duration in _utterances(cut):
        yield Row(
            audio=str(shard),
            text=_text(speech),
            id=label(speech, "id"),
            speaker=label(speech, "speaker"),
            duration=duration,
            start=first if has_many else NOT_TOLD,  # a shard holds the audio of the cut alone
            offset=offset,
            size=size,
            line=number,
        )


def _first(path: Path) -> Any:
    """The object in the first line of a file, None where the file is no lhotse manifest or has none."""
    if not (path.is_file() and path.name.endswith(NAMES)):
        return None
    _, _, first = next(_parsed(path), (None, None, None))
    return first if isinstance(first, dict) else None


def _has(path: Path, *names: str) -> bool:
    first = _first(path)
    return first is not None and all(name in first for name in names)


CUTS = Format(
    name="lhotse CutSet (cuts.jsonl.gz)",
    recognises=lambda path: _has(path, "supervisions", "duration"),
    files=lambda path: [path],
    rows=_cuts,
)
SUPERVISIONS = Format(
    name="lhotse supervisions (with the recordings beside them)",
    recognises=lambda path: _has(path, "recording_id") and _recordings_of(path).is_file(),
    files=lambda path: [path, _recordings_of(path)],
    rows=_supervisions,
)
SHAR = Format(
    name="lhotse Shar folder (cuts.*.jsonl.gz with recording.*.tar)",
    recognises=lambda path: path.is_dir() and any(path.glob("cuts.*.jsonl*")) and any(path.glob("recording.*.tar")),
    files=lambda path: sorted([*path.glob("cuts.*.jsonl*"), *path.glob("recording.*.tar")]),
    rows=_shar,
)
