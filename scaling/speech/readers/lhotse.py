"""Lhotse: CutSets (`cuts.jsonl.gz`), supervisions with the recordings beside them, and Shar folders.

A cut with one supervision is one utterance; a cut with several supervisions is an utterance for each of them. It is
heard on the channel that the cut or the supervision names, in the source that has it; a shard holds the channels of the
cut alone. Relative paths start at the folder of the manifest. A recording that comes from a command, a URL or memory,
or that has a transform, is a bad row: FLOPs are counted for the audio that is read.
"""

from collections.abc import Callable
from functools import partial
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
    parsed_lines,
    seconds,
)

JsonObject = dict[str, Any]

Utterance = tuple[JsonObject, Any, Any]
"""A supervision, its start in the cut and its duration, both unchecked."""

FAULTS = (KeyError, TypeError, ValueError, IndexError, AttributeError)
"""What reading a line that is not as lhotse writes it may raise."""

NAMES = (".jsonl", ".jsonl.gz")
WHOLE_SECONDS = 0.001
"""A cut whose length is this close to that of its recording is the whole recording: lhotse rounds times."""


class _UnsupportedRecordingError(ValueError):
    """A recording that is more than one audio file."""


def _cuts(path: Path, _part: str) -> Rows:
    for where, number, cut in parsed_lines(path):
        yield from _rows_of(cut, where, partial(_of_cut, base=path.parent, line=number))


def _rows_of(cut: Any, where: str, row: Callable[[JsonObject, Utterance], Row]) -> Rows:
    """A row, or a bad row, for each utterance of a cut: a fault of one takes no other along."""
    if isinstance(cut, BadRow):
        yield cut
        return
    try:
        utterances = _utterances(cut)
    except FAULTS as error:
        yield _bad_row(where, error)
        return
    for utterance in utterances:
        try:
            yield row(cut, utterance)
        except FAULTS as error:
            yield _bad_row(where, error)


def _bad_row(where: str, error: Exception) -> BadRow:
    if isinstance(error, _UnsupportedRecordingError):
        return BadRow("recording that is not one audio file", f"{where}: {error}")
    detail = str(error) if isinstance(error, ValueError) else repr(error)
    return BadRow("field missing or of the wrong type", f"{where}: {detail}")


def _utterances(cut: JsonObject) -> list[Utterance]:
    """Each supervision of a cut. Raises ValueError for a cut without one, or of a kind that is not read."""
    kind, supervisions = cut.get("type", "MonoCut"), cut["supervisions"]
    if kind not in ("MonoCut", "MultiCut"):
        raise _UnsupportedRecordingError(f"a {kind}; expected a MonoCut or MultiCut of one recording")
    if not supervisions:
        raise ValueError("no supervision")
    if len(supervisions) == 1:
        return [({**supervisions[0], "id": cut["id"]}, 0.0, cut["duration"])]
    return [(supervision, supervision.get("start"), supervision.get("duration")) for supervision in supervisions]


def _of_cut(cut: JsonObject, utterance: Utterance, *, base: Path, line: int) -> Row:
    speech, first, duration = utterance
    return _row(
        {**speech, "channel": _named(cut, speech)}, cut["recording"], base, cut["start"] + first, duration, line
    )


def _named(cut: JsonObject, speech: JsonObject) -> Any:
    """The channel that is named for a supervision of a cut."""
    by_cut, by_speech = cut.get("channel"), speech.get("channel")  # a MultiCut's are those of all its speakers
    is_of_speech = by_cut is None or (cut.get("type") == "MultiCut" and by_speech is not None)
    return by_speech if is_of_speech else by_cut


def _row(speech: JsonObject, recording: JsonObject, base: Path, start: Any, duration: Any, line: int) -> Row:
    if recording.get("transforms"):
        raise _UnsupportedRecordingError(f"recording {recording['id']!r} has transforms; expected it as recorded")
    source, channel = _source(recording, speech.get("channel"))
    start, duration = seconds(start, "start"), seconds(duration, "duration")
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
    """The file with the channel of this name, of those of the recording, and the channel's number in the file."""
    sources, name = recording["sources"], recording["id"]
    channel = _channel(named, recording.get("channel_ids") or [])
    if channel != NO_CHANNEL:
        sources = [source for source in sources if channel in source["channels"]]
        if not sources:
            raise _UnsupportedRecordingError(f"recording {name!r} has no channel {channel}")
    source, *more = sources
    if source["type"] != "file" or more:
        raise _UnsupportedRecordingError(f"recording {name!r} is {source['type']}; expected one file")
    return source, channel if channel == NO_CHANNEL else source["channels"].index(channel)


def _channel(named: Any, all_channels: list[int]) -> int:
    """The channel of this name, NO_CHANNEL where none or all of several are named."""
    is_all = isinstance(named, list) and len(named) > 1 and sorted(named) == sorted(all_channels)
    return NO_CHANNEL if is_all else channel_number(named)


def _text(speech: JsonObject) -> str | None:
    text = speech.get("text")
    return text if isinstance(text, str) else None


def _supervisions(path: Path, _part: str) -> Rows:
    recordings: JsonObject = {}
    for where, _, recording in parsed_lines(_recordings_of(path)):
        if isinstance(recording, dict) and "id" in recording:
            recordings[recording["id"]] = recording
        else:
            yield recording if isinstance(recording, BadRow) else BadRow("recording without an id", where)
    for where, number, speech in parsed_lines(path):
        if isinstance(speech, BadRow):
            yield speech
            continue
        try:
            recording = recordings[speech["recording_id"]]
            yield _row(speech, recording, path.parent, speech["start"], speech["duration"], number)
        except FAULTS as error:
            yield _bad_row(where, error)


def _recordings_of(path: Path) -> Path:
    return path.with_name(path.name.replace("supervisions", "recordings"))


def _shar(path: Path, _part: str) -> Rows:
    for cuts in sorted(path.glob("cuts.*.jsonl*")):
        shard = path / f"recording.{cuts.name.split('.')[1]}.tar"
        places: dict[str, tuple[int, int]] = {}
        for member in tar_shards.members(shard):
            if isinstance(member, BadRow):
                yield member
            elif member.name.lower().endswith(tar_shards.AUDIO):
                places[member.name.rpartition(".")[0]] = member.offset, member.size  # an id may have dots
        for where, number, cut in parsed_lines(cuts):
            yield from _rows_of(cut, where, partial(_of_shard, places=places, shard=shard, line=number))


def _of_shard(
    cut: JsonObject, utterance: Utterance, *, places: dict[str, tuple[int, int]], shard: Path, line: int
) -> Row:
    (speech, first, duration), (offset, size) = utterance, places[cut["id"]]
    held = sorted(cut["channel"]) if isinstance(cut.get("channel"), list) else []  # the channels of the audio
    channel = _channel(_named(cut, speech), held) if len(held) > 1 else NO_CHANNEL
    return Row(
        audio=str(shard),
        text=_text(speech),
        id=label(speech, "id"),
        speaker=label(speech, "speaker"),
        duration=seconds(duration, "duration"),
        start=seconds(first, "start") if len(cut["supervisions"]) > 1 else NOT_TOLD,  # a shard holds the cut alone
        offset=offset,
        size=size,
        line=line,
        channel=channel if channel == NO_CHANNEL else held.index(channel),
    )


def _first(path: Path) -> Any:
    """The object in the first line of a file, None where the file is no lhotse manifest or has none."""
    if not (path.is_file() and path.name.endswith(NAMES)):
        return None
    _, _, first = next(parsed_lines(path), (None, None, None))
    return first if isinstance(first, dict) else None


def _has(path: Path, *names: str) -> bool:
    first = _first(path)
    return first is not None and all(name in first for name in names)


CUTS = Format(
    name="lhotse CutSet (cuts.jsonl.gz)",
    recognises=lambda path: _has(path, "supervisions", "duration"),
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
