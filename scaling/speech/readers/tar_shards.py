"""Tar shards as WebDataset and WeNet write them: KEY.wav (or another kind of audio) beside KEY.txt or KEY.json.

As in WebDataset, a key is a member's name, with its folders, up to the first dot of the last part; neighbours with one
key are one utterance, and equal keys in different shards are different utterances. Of two neighbours with one key and
one ending nobody can tell which belongs to which text: they are a bad row.

Nothing is unpacked: audio is read in place, as so many bytes at an offset, so a member's name cannot lead to another
file. Links and devices are bad rows. A compressed tar cannot be read in place and is refused.
"""

import tarfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import IO, Any

from scaling.errors import InputError
from scaling.speech.readers.row import BadRow, Format, Row, Rows, channel_number, parse_json
from scaling.system.text_bytes import without_mark

AUDIO = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a")
TEXTS = (".txt", ".json")

MAX_TEXT_BYTES = 1 << 20
"""The largest transcript or description of an utterance that is read (assumption: real ones are far smaller)."""

Member = tuple[str, str, int, int]
"""Key, suffix, offset and size in bytes of a regular file."""

Fields = dict[str, Any]
"""`text`, `speaker` and `channel` of an utterance, as far as they are given."""


def members(path: Path) -> Iterator[Member | BadRow]:
    """The regular files of a shard, in its order. Raises InputError where it is compressed or no tar."""
    try:
        shard = tarfile.open(path, "r:")  # noqa: SIM115
    except (tarfile.ReadError, OSError) as error:
        raise InputError(f"{path}: no tar that can be read in place ({error}); expected one uncompressed") from error
    with shard:
        try:
            for member in shard:
                folder, slash, name = member.name.rpartition("/")
                key, _, suffix = name.partition(".")
                if member.isreg() and not member.issparse():
                    yield f"{folder}{slash}{key}", f".{suffix}".lower(), member.offset_data, member.size
                elif not member.isdir():
                    yield BadRow("member that is no plain file", f"{path}: {member.name!r}")
                shard.members.clear()  # type: ignore[attr-defined]  # otherwise all headers stay in memory
        except tarfile.ReadError as error:
            yield BadRow("shard cut short", f"{path}: {error}")


def _rows(path: Path, _part: str) -> Rows:
    keys = set[str]()
    with path.open("rb") as stream:
        for sample in _samples(path):
            if isinstance(sample, BadRow):
                yield sample
                continue
            key, places = sample
            if key in keys:
                yield BadRow("repeated key", f"{path}: {key!r} again; expected each key once in a shard")
                continue
            keys.add(key)
            yield _row(path, key, places, stream)


def _samples(path: Path) -> Iterator[tuple[str, dict[str, tuple[int, int]]] | BadRow]:
    """Each key with the offset and size of its members by their suffix."""
    for key, group in groupby(members(path), lambda member: "" if isinstance(member, BadRow) else member[0]):
        sample_members = list[Member]()
        for member in group:
            if isinstance(member, BadRow):
                yield member
            elif member[1] in (*AUDIO, *TEXTS):
                sample_members.append(member)
        places = {suffix: (offset, size) for _, suffix, offset, size in sample_members}
        if not key.rpartition("/")[2]:  # a hidden file, which WebDataset passes over, too
            continue
        if len(places) < len(sample_members):
            yield BadRow("repeated member", f"{path}: {key!r} has two members of one kind; expected one of each")
        else:
            yield key, places


def _row(path: Path, key: str, places: Mapping[str, tuple[int, int]], stream: IO[bytes]) -> Row | BadRow:
    audio = next((places[suffix] for suffix in AUDIO if suffix in places), None)
    if audio is None:
        return BadRow("no audio", f"{path}: {key!r} has no member that ends in {', '.join(AUDIO)}")
    try:
        fields: Fields = {}
        for suffix in TEXTS:
            fields |= _described(stream, suffix, *places[suffix], f"{path}: {key}{suffix}") if suffix in places else {}
        channel = channel_number(fields.get("channel"))
    except ValueError as error:  # an InputError, too
        return BadRow("field missing or of the wrong type", f"{path}: {key!r}: {error}")
    text, speaker = fields.get("text"), fields.get("speaker", "")
    return Row(str(path), text, speaker=speaker, offset=audio[0], size=audio[1], channel=channel, member=key)


def _described(stream: IO[bytes], suffix: str, offset: int, size: int, place: str) -> Fields:
    """The fields of a member; none where it cannot be read: the row then has no text.

    Raises InputError for UTF-16.
    """
    if size > MAX_TEXT_BYTES:
        return {}
    stream.seek(offset)
    content = without_mark(stream.read(size), place)
    if suffix == ".txt":
        return {"text": content.decode(errors="replace").strip()}
    try:
        values = parse_json(content)
    except ValueError:
        return {}
    fields = values if isinstance(values, dict) else {}
    described: Fields = {name: value for name in ("text", "speaker") if isinstance(value := fields.get(name), str)}
    return described | {"channel": fields.get("channel")}


def _recognises(path: Path) -> bool:
    return path.is_file() and any(suffix in (".tar", ".tgz") for suffix in path.suffixes)


def _files(path: Path) -> Iterable[Path]:
    return [path]


def _shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.tar"))


def _is_folder(path: Path) -> bool:
    return path.is_dir() and bool(_shards(path)) and not any(file.suffix.lower() in AUDIO for file in path.iterdir())


FORMAT = Format(name="tar shard (KEY.wav with KEY.txt or KEY.json)", recognises=_recognises, files=_files, rows=_rows)
FOLDER = Format(
    name="folder of tar shards",
    recognises=_is_folder,
    files=_shards,
    rows=lambda path, part: (row for shard in _shards(path) for row in _rows(shard, part)),
)
