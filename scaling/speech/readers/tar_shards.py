"""Tar shards as WebDataset and WeNet write them: KEY.wav (or another kind of audio) beside KEY.txt or KEY.json.

As in WebDataset, a key is a member's name, with its folders, up to the first dot of the last part; neighbours with one
key are one utterance, and equal keys in different shards are different utterances. Names without a dot or without a key
(`README`, `._a.wav`) are passed over. Of two neighbours with one key and one ending, or of two kinds of audio, nobody
can tell which belongs to which text: they are a bad row. Where an utterance has both texts, that in KEY.json counts.

Nothing is unpacked: audio is read in place, as so many bytes at an offset, so a member's name cannot lead to another
file. Links and devices are bad rows. A compressed tar cannot be read in place and is refused.
"""

import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from scaling.errors import InputError
from scaling.speech.readers.row import BadRow, Format, Row, RowError, Rows, channel_number, given, label, parse_json
from scaling.system.text_bytes import without_mark

AUDIO = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a")
TEXTS = (".txt", ".json")

MAX_TEXT_BYTES = 1 << 20
"""The largest transcript or description of an utterance that is read (assumption: real ones are far smaller)."""

COMPRESSED = (".tar.gz", ".tgz")


class Member(NamedTuple):
    """A regular file in a shard: its name with folders, and where in the shard its `size` bytes begin."""

    name: str
    offset: int
    size: int

    @property
    def key_and_ending(self) -> tuple[str, str]:
        """What WebDataset groups by, and the rest in lower case with its dot; either is empty where there is none."""
        folder, slash, name = self.name.rpartition("/")
        key, dot, ending = name.partition(".")
        return (f"{folder}{slash}{key}" if key else ""), f"{dot}{ending}".lower()


Places = dict[str, Member]
"""The members of one key by their endings."""

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
                if member.isreg() and not member.issparse():
                    yield Member(member.name, member.offset_data, member.size)
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


def _samples(path: Path) -> Iterator[tuple[str, Places] | BadRow]:
    """Each key with its members by their endings."""
    current, group = "", list[tuple[str, Member]]()
    for member in members(path):
        if isinstance(member, BadRow):
            yield member
            continue
        key, ending = member.key_and_ending
        if not (key and ending):
            continue
        if key != current and group:
            yield _sample(path, current, group)
            group = []
        current = key
        group.append((ending, member))
    if group:
        yield _sample(path, current, group)


def _sample(path: Path, key: str, group: Sequence[tuple[str, Member]]) -> tuple[str, Places] | BadRow:
    places = dict(group)
    if len(places) < len(group) or sum(ending in AUDIO for ending in places) > 1:
        return BadRow("repeated member", f"{path}: {key!r} has two members of one kind; expected one of each")
    return key, places


def _row(path: Path, key: str, places: Mapping[str, Member], stream: IO[bytes]) -> Row | BadRow:
    audio = next((places[ending] for ending in AUDIO if ending in places), None)
    if audio is None:
        endings = ", ".join(places)
        expected = f"expected {', '.join(AUDIO)} after the first dot of its name"
        return BadRow("no audio", f"{path}: {key!r} has {endings:.80}; {expected}")
    try:
        fields: Fields = {}
        for ending in TEXTS:
            if ending in places:
                fields |= _described(stream, ending, places[ending])
        channel, speaker = channel_number(fields.get("channel")), label(fields, "speaker")
    except RowError as error:
        return BadRow(error.kind, f"{path}: {error}")
    except ValueError as error:  # an InputError, too
        return BadRow("field missing or of the wrong type", f"{path}: {key!r}: {error}")
    text = fields.get("text")
    return Row(str(path), text, speaker=speaker, offset=audio.offset, size=audio.size, channel=channel, member=key)


def _described(stream: IO[bytes], ending: str, member: Member) -> Fields:
    """The fields that a member gives; a blank text is none. Raises ValueError where it cannot be read."""
    if member.size > MAX_TEXT_BYTES:
        expected = f"expected at most {MAX_TEXT_BYTES}"
        raise RowError("text too long to be one", f"{member.name}: {member.size} bytes; {expected}")
    stream.seek(member.offset)
    content = without_mark(stream.read(member.size), member.name)
    try:
        values = {"text": content.decode().strip()} if ending == ".txt" else parse_json(content)
    except UnicodeDecodeError as error:
        raise RowError("not UTF-8", f"{member.name}: {error.reason} at byte {error.start}") from None
    except ValueError as error:
        raise RowError("not JSON", f"{member.name}: {error}") from None
    if not isinstance(values, dict):
        raise RowError("not JSON", f"{member.name}: expected an object, found {type(values).__name__}")
    text = given(values, "text", "txt")
    if not (text is None or isinstance(text, str)):
        raise ValueError(f"text must be a string, not {text!r:.80}")
    fields = {name: values[name] for name in ("speaker", "channel") if name in values}
    return fields | ({"text": text} if text and text.strip() else {})


def _shards(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.name.endswith((".tar", *COMPRESSED)) and file.is_file())


def _is_folder(path: Path) -> bool:
    return path.is_dir() and bool(_shards(path)) and not any(file.suffix.lower() in AUDIO for file in path.iterdir())


FORMAT = Format(
    name="tar shard (KEY.wav with KEY.txt or KEY.json)",
    recognises=lambda path: path.is_file() and any(suffix in (".tar", ".tgz") for suffix in path.suffixes),
    rows=_rows,
)
FOLDER = Format(
    name="folder of tar shards",
    recognises=_is_folder,
    files=_shards,
    rows=lambda path, part: (row for shard in _shards(path) for row in _rows(shard, part)),
)
