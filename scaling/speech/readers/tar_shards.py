"""Tar shards as WebDataset and WeNet write them: KEY.wav (or another kind of audio) beside KEY.txt or KEY.json.

Nothing is unpacked: audio is read in place, as so many bytes at an offset, so a member's name cannot lead to another
file. Links and devices are bad rows. A compressed tar cannot be read in place and is refused.
"""

import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from scaling.errors import InputError
from scaling.speech.readers.row import BadRow, Format, Row, Rows, parse_json

AUDIO = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a")
TEXTS = (".txt", ".json")

MAX_TEXT_BYTES = 1 << 20
"""The largest transcript or description of an utterance that is read (assumption: real ones are far smaller)."""

Member = tuple[str, str, int, int]
"""Key, suffix, offset and size in bytes of a regular file."""


def members(path: Path) -> Iterator[Member | BadRow]:
    """The regular files of a shard, in its order. Raises InputError where it is compressed or no tar."""
    try:
        shard = tarfile.open(path, "r:")  # noqa: SIM115
    except (tarfile.ReadError, OSError) as error:
        raise InputError(f"{path}: no tar that can be read in place ({error}); expected one uncompressed") from error
    with shard:
        try:
            for member in shard:
                key, _, suffix = member.name.rpartition("/")[2].partition(".")
                if member.isreg() and not member.issparse():
                    yield key, f".{suffix}".lower(), member.offset_data, member.size
                elif not member.isdir():
                    yield BadRow("member that is no plain file", f"{path}: {member.name!r}")
                shard.members.clear()  # type: ignore[attr-defined]  # otherwise all headers stay in memory
        except tarfile.ReadError as error:
            yield BadRow("shard cut short", f"{path}: {error}")


def _rows(path: Path, _part: str) -> Rows:
    with path.open("rb") as stream:
        key, audio, text = "", (0, -1), dict[str, str]()
        for member in members(path):
            if isinstance(member, BadRow):
                yield member
                continue
            if member[0] != key:
                yield from _row(path, key, audio, text)
                key, audio, text = member[0], (0, -1), {}
            _, suffix, offset, size = member
            if suffix in AUDIO:
                audio = offset, size
            elif suffix in TEXTS:
                text |= _described(stream, suffix, offset, size)
        yield from _row(path, key, audio, text)


def _row(path: Path, key: str, audio: tuple[int, int], text: dict[str, str]) -> Rows:
    if audio[1] >= 0:
        speaker = text.get("speaker", "")
        yield Row(str(path), text.get("text"), id=key, speaker=speaker, offset=audio[0], size=audio[1])
    elif key:
        yield BadRow("no audio", f"{path}: {key!r} has no member that ends in {', '.join(AUDIO)}")


def _described(stream: IO[bytes], suffix: str, offset: int, size: int) -> dict[str, str]:
    """`text`, and `speaker` where it is given; nothing where the member cannot be read: the row then has no text."""
    if size > MAX_TEXT_BYTES:
        return {}
    stream.seek(offset)
    content = stream.read(size)
    if suffix == ".txt":
        return {"text": content.decode(errors="replace").strip()}
    try:
        values = parse_json(content)
    except ValueError:
        return {}
    fields = values if isinstance(values, dict) else {}
    return {name: value for name in ("text", "speaker") if isinstance(value := fields.get(name), str)}


def _recognises(path: Path) -> bool:
    return path.is_file() and any(suffix in (".tar", ".tgz") for suffix in path.suffixes)


def _files(path: Path) -> Iterable[Path]:
    return [path]


FORMAT = Format(name="tar shard (KEY.wav with KEY.txt or KEY.json)", recognises=_recognises, files=_files, rows=_rows)
