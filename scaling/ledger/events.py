"""The events of an attempt, which say how it goes, line by line."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from scaling.errors import InputError
from scaling.ledger.records import Event
from scaling.system.contained_files import InnerFiles

MOST_LINE_BYTES = 100_000
"""The most bytes of a line that counts as an event. Events of our trainer have fewer than 1,000 bytes."""

MOST_FILE_BYTES = 10_000_000_000
"""The most bytes that are looked through for events: ten million steps (assumption)."""


def read_events(path: Path) -> Iterator[Event]:
    """The events in a file, without torn lines; none where it is missing. Raises InputError for no readable file."""
    files = InnerFiles(path.parent)
    if files.stands(path.name):
        if (size := files.bytes_of(path.name)) > MOST_FILE_BYTES:
            raise InputError(f"{path}: {size} bytes; expected at most {MOST_FILE_BYTES}")
        with files.open(path.name) as file:
            lines = iter(lambda: file.readline(MOST_LINE_BYTES), b"")
            yield from (event for line in lines if (event := parse_event(line)) is not None)


def parse_event(line: bytes) -> Event | None:
    """The event in a line; None where the line was torn by a kill, or is no event."""
    with suppress(ValidationError):
        return Event.model_validate_json(line)
    return None
