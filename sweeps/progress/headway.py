"""How far an attempt at a node is, from the end of its events."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from scaling.system.json_schema import amount, text

BLOCK_BYTES = 8192
"""Read at a time, from the end: holds the newest progress event unless a set has been decoded since."""


class Evaluation(NamedTuple):
    """A set that is being decoded: `done` of `of` utterances.

    `seconds` have passed since the node was last seen to train; at the pace of this set `left` more are needed for it,
    None where the pace is not known yet. `final` says that training is over; else this is, or may be, a look at dev.
    """

    set: str
    done: int
    of: int
    seconds: float
    left: float | None
    final: bool


class Headway(NamedTuple):
    """An attempt stands at `flops` of its stage. In `seconds` of its own it has trained `trained_flops`."""

    flops: int = 0
    trained_flops: int = 0
    seconds: float = 0.0
    evaluation: Evaluation | None = None


def headway(events: Path, now: float) -> Headway:
    """How far the attempt with these events is at the time `now`."""
    decoded: list[dict[str, Any]] = []  # what was decoded since it last trained, newest first
    looked = False
    for event in _newest_first(events):
        kind = event.get("event")
        if kind in ("progress", "start"):
            return _headway(event, _first(events), decoded, now)
        looked |= kind == "dev"  # that look at dev is over, and what was decoded before belongs to it
        if kind == "evaluating" and not looked and _is_evaluating(event):
            decoded.append(event)
    return Headway()


def _headway(newest: dict[str, Any], first: dict[str, Any], decoded: list[dict[str, Any]], now: float) -> Headway:
    flops, since = _number(newest, "flops"), _number(newest, "time")
    evaluation = _evaluation(decoded, now - since) if decoded else None
    return Headway(int(flops), int(flops - _number(first, "flops")), since - _number(first, "time"), evaluation)


def _evaluation(decoded: list[dict[str, Any]], seconds: float) -> Evaluation:
    newest = decoded[0]
    oldest = [event for event in decoded if event["set"] == newest["set"]][-1]
    done = newest["done"] - oldest["done"]
    pace = (newest["time"] - oldest["time"]) / done if done > 0 else None
    left = None if pace is None else pace * (newest["of"] - newest["done"])
    final = any(event["set"] != "dev" for event in decoded)
    return Evaluation(newest["set"], newest["done"], newest["of"], seconds, left, final)


def _is_evaluating(event: dict[str, Any]) -> bool:
    return text(event.get("set")) and all(amount(event.get(field)) for field in ("done", "of", "time"))


def _number(event: dict[str, Any], field: str) -> float:
    value = event.get(field, 0)
    return value if amount(value) else 0


def _first(path: Path) -> dict[str, Any]:
    """The first event: where the attempt set out from, and when."""
    with path.open("rb") as file:
        return _event(file.readline()) or {}


def _newest_first(path: Path) -> Iterator[dict[str, Any]]:
    """The events from the last to the first, read no further than they are asked for; torn lines are skipped."""
    if not path.exists():
        return
    with path.open("rb") as file:
        end, torn = file.seek(0, os.SEEK_END), b""
        while end:
            start = max(0, end - BLOCK_BYTES)
            file.seek(start)
            lines = (file.read(end - start) + torn).split(b"\n")
            torn = lines.pop(0) if start else b""  # its beginning is in the block before
            yield from (event for line in reversed(lines) if (event := _event(line)) is not None)
            end = start


def _event(line: bytes) -> dict[str, Any] | None:
    with suppress(ValueError):
        event = json.loads(line)
        return event if isinstance(event, dict) else None
    return None
