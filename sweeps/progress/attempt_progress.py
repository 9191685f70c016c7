"""How far an attempt at a node is, from the end of its events."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from scaling.ledger.events import MOST_LINE_BYTES, parse_event
from scaling.ledger.hearing import Hearing
from scaling.ledger.records import Event
from scaling.system.contained_files import InnerFiles

BLOCK_BYTES = 8192
"""Bytes read at a time, from the end: they hold the newest progress event unless a set was decoded since."""

MOST_BYTES = 10_000_000
"""Bytes at the end that are looked through for it: a hundred thousand events (assumption: no set takes as many)."""


class Decoding(NamedTuple):
    """A set that is being decoded: `done` of `of` utterances.

    `seconds` have passed since the node was last seen to train. At the pace of this set it needs `remaining_seconds`
    more, None where the pace is not known yet. `final` says that training is over; otherwise the set may be dev, looked
    at during training.
    """

    set: str
    done: int
    of: int
    seconds: float
    remaining_seconds: float | None
    final: bool


class AttemptProgress(NamedTuple):
    """An attempt at `flops` of its stage trained `trained_flops` itself, in `seconds`; `hearing` was measured last."""

    flops: int = 0
    trained_flops: int = 0
    seconds: float = 0.0
    decoding: Decoding | None = None
    hearing: Hearing | None = None


def attempt_progress(events: Path, now: float) -> AttemptProgress:
    """How far an attempt is at `now`, in seconds since 1970. Raises InputError where `events` is no readable file."""
    decoded: list[Event] = []  # what was decoded since the attempt last trained, newest first
    looked = False
    for event in _newest_first(events):
        if event.event in ("progress", "start"):
            first = _first(events) or event
            return AttemptProgress(
                flops=int(event.flops),
                trained_flops=int(event.flops - first.flops),
                seconds=event.time - first.time,
                decoding=_decoding(decoded, now - event.time) if decoded else None,
                hearing=event.hearing,
            )
        looked |= event.event == "dev"  # that look at dev is over, and what was decoded before belongs to it
        if event.event == "evaluating" and event.set and not looked:
            decoded.append(event)
    return AttemptProgress()


def _decoding(decoded: list[Event], seconds: float) -> Decoding:
    newest = decoded[0]
    oldest = [event for event in decoded if event.set == newest.set][-1]
    done = newest.done - oldest.done
    pace = (newest.time - oldest.time) / done if done > 0 else None
    remaining = None if pace is None else pace * (newest.of - newest.done)
    final = any(event.set != "dev" for event in decoded)
    return Decoding(newest.set, newest.done, newest.of, seconds, remaining, final)


def _first(path: Path) -> Event | None:
    """The first event: where the attempt started from, and when."""
    with InnerFiles(path.parent).open(path.name) as file:
        return parse_event(file.readline(MOST_LINE_BYTES))


def _newest_first(path: Path) -> Iterator[Event]:
    """The events from the last to the first, read no further than they are asked for; torn lines are skipped."""
    files = InnerFiles(path.parent)
    if not files.stands(path.name):
        return
    with files.open(path.name) as file:
        size, torn = file.seek(0, os.SEEK_END), b""
        end = size
        while end and size - end < MOST_BYTES and len(torn) < MOST_LINE_BYTES:
            start = max(0, end - BLOCK_BYTES)
            file.seek(start)
            lines = (file.read(end - start) + torn).split(b"\n")
            torn = lines.pop(0) if start else b""  # its beginning is in the block before
            yield from (event for line in reversed(lines) if (event := parse_event(line)) is not None)
            end = start
