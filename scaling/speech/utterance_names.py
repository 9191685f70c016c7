"""Names of utterances to which a corpus gives no id: that of the recording, and more where it is not enough.

Several utterances with one name get, until their names differ: their stretch and channel (`call-0.000-2.000-ch1`), then
one folder after the other (`spk1/001`), of a shard's members the shard (`train-000/001`), and at last a number
(`001#2`).
"""

from collections.abc import Callable, Sequence

import numpy as np

from scaling.speech.audio import Clip

MOST_FOLDERS = 32
"""Folders of a path that are looked at; deeper ones tell few recordings apart (assumption)."""


def distinct_names(names: Sequence[str], has_id: Sequence[bool], clip_at: Callable[[int], Clip]) -> dict[int, str]:
    """New names, by row, of the rows without an id whose name another row has, too.

    `names` (N,) are ids, and names of recordings where `has_id` is false; `clip_at(row)` is asked for few rows.
    """
    hashes = np.fromiter(map(hash, names), np.int64, len(names))
    rows = _repeated(hashes) & ~np.asarray(has_id, dtype=bool)
    numbers = _numbers_of_equals({row: longer_name(names[row], clip_at(row), MOST_FOLDERS) for row in _places(rows)})
    renamed = {row: f"{names[row]}{number}" for row, number in numbers.items() if number}
    for depth in range(MOST_FOLDERS):
        hashes[list(renamed)] = [hash(name) for name in renamed.values()]
        rows &= _repeated(hashes)
        if not rows.any():
            break
        renamed |= {row: longer_name(names[row], clip_at(row), depth) + numbers[row] for row in _places(rows)}
    return renamed


def _numbers_of_equals(full_names: dict[int, str]) -> dict[int, str]:
    """By row: "" for the first of its full name, "#2" for the second."""
    seen: dict[str, int] = {}
    numbers: dict[int, str] = {}
    for row, name in full_names.items():
        seen[name] = seen.get(name, 0) + 1
        numbers[row] = "" if seen[name] == 1 else f"#{seen[name]}"
    return numbers


def longer_name(name: str, clip: Clip, folders: int) -> str:
    """The name with stretch and channel, and with so many of the folders (or, first, the shard) that it lies in.

    >>> from pathlib import Path
    >>> longer_name("call", Clip(path=Path("/a/b/call.wav"), start=0.0, seconds=2.0, channel=1), 1)
    'b/call-0.000-2.000-ch1'
    """
    stretch = ""
    if clip.start is not None:
        end = "" if clip.seconds is None else f"{clip.start + clip.seconds:.3f}"
        stretch = f"-{clip.start:.3f}-{end}"
    channel = "" if clip.channel < 0 else f"-ch{clip.channel}"
    parents = [*clip.path.parent.parts, *([] if clip.size is None else [clip.path.stem])]
    around = [part for part in parents if part != clip.path.anchor]
    return "/".join([*around[max(0, len(around) - folders) :], f"{name}{stretch}{channel}"])


def _places(rows: np.ndarray) -> list[int]:
    return list(map(int, np.flatnonzero(rows)))


def _repeated(hashes: np.ndarray) -> np.ndarray:
    """Whether each of the values (N,) stands there more than once."""
    _, place, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    return np.asarray(counts[place] > 1)
