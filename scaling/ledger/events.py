"""The events of an attempt, which say how it goes, line by line."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from scaling.ledger.records import Event
from scaling.system.inner_files import InnerFiles


def read_events(path: Path) -> Iterator[Event]:
    """The events in a file; none where it is missing. Lines torn by a kill are skipped.

    Raises InputError where `path` is anything but a readable file.
    """
    files = InnerFiles(path.parent)
    if files.stands(path.name):
        with files.open(path.name) as file:
            yield from (event for line in file if (event := parse_event(line)) is not None)


def parse_event(line: bytes) -> Event | None:
    """The event in a line; None where the line was torn by a kill, or is no event."""
    with suppress(ValidationError):
        return Event.model_validate_json(line)
    return None
