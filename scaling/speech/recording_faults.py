"""Which recordings of a corpus cannot be used: by their headers and samples, and by what a run met when it read them.

Headers do not tell everything. What a run finds out is remembered in the cache by the file's size and time. The next
plan leaves the stretch out, and reads the other stretches of that recording: no two runs end for the same file.
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from scaling.arrays import IntArray
from scaling.speech.audio import AudioError, Clip, check_samples, clip_samples, read_header
from scaling.speech.columns import Columns
from scaling.system.cache import cache_dir, write_whole

HEADER_THREADS = 16
"""Headers read at once: on a network disk each thread waits rather than works (assumption)."""

ROWS_A_TASK = 512
"""Rows whose headers one thread reads at a time, so that handing over a task costs nothing in comparison."""


@dataclass(frozen=True, slots=True, eq=False)
class HeaderFacts:
    """By row, `samples` at 16 kHz (-1: unusable), and whether one of several channels is named (`has_several`)."""

    samples: IntArray
    has_several: npt.NDArray[np.bool_]


def read_headers(columns: Columns) -> tuple[HeaderFacts, list[tuple[AudioError, int]]]:
    """What the header of every row says, and what is wrong with rows whose audio cannot be used, by row."""
    rows = np.arange(len(columns))
    tasks = np.array_split(rows, -(-len(rows) // ROWS_A_TASK)) if len(rows) else []
    with ThreadPoolExecutor(HEADER_THREADS) as pool:
        results = list(pool.map(lambda task: _read_headers(columns, task), tasks))
    facts = HeaderFacts(
        np.concatenate([np.empty(0, np.int64), *(part.samples for part, _ in results)]),
        np.concatenate([np.empty(0, np.bool_), *(part.has_several for part, _ in results)]),
    )
    return facts, [error for _, errors in results for error in errors]


def _read_headers(columns: Columns, rows: IntArray) -> tuple[HeaderFacts, list[tuple[AudioError, int]]]:
    facts = HeaderFacts(np.full(len(rows), -1, dtype=np.int64), np.zeros(len(rows), dtype=np.bool_))
    errors = list[tuple[AudioError, int]]()
    recording, header = None, None
    for position, row in enumerate(rows.tolist()):
        clip = columns.clip(row)
        try:
            if recording != (clip.path, clip.offset) or header is None:
                recording, header = (clip.path, clip.offset), None
                header = read_header(clip)
            samples = clip_samples(clip, header)
            if header.is_float:
                check_samples(clip)
        except AudioError as error:
            errors.append((error, row))
            continue
        facts.samples[position] = samples
        facts.has_several[position] = header.channels > 1 and clip.channel >= 0
    return facts, errors


Identity = tuple[str, int, int, int, float | None, int]
"""What identifies the audio that a fault was found in: file, its size and time, offset, start and channel."""

RECORDING = 4
"""So many of these fields identify the recording."""


def remember_fault(clip: Clip, fault: AudioError) -> None:
    """Remember the fault that was found in reading `clip`, for as long as its file does not change."""
    with suppress(OSError):
        identity = _identity(clip)
        entry = {"identity": identity, "kind": fault.kind, "message": str(fault)}
        name = sha256(json.dumps(identity).encode()).hexdigest()
        content = json.dumps(entry).encode()
        write_whole(cache_dir() / "unusable" / f"{name}.json", lambda out: out.write(content))


def remembered_faults(columns: Columns) -> list[tuple[AudioError, int]]:
    """The faults that runs met in the rows of a corpus, by row."""
    known: dict[Identity, AudioError] = {}
    for entry in sorted((cache_dir() / "unusable").glob("*.json")):
        with suppress(
            OSError, ValueError, KeyError, TypeError
        ):  # whatever is wrong with a cache entry, it is passed over
            values = json.loads(entry.read_bytes())
            known[tuple(values["identity"])] = AudioError(values["kind"], values["message"])
    paths = {identity[0] for identity in known}
    files = [number for number, path in enumerate(columns.files) if path in paths] if paths else []
    return list(_of_known(columns, np.flatnonzero(np.isin(columns.file, files)).tolist(), known))


def _of_known(
    columns: Columns, rows: Sequence[int], known: dict[Identity, AudioError]
) -> Iterator[tuple[AudioError, int]]:
    damaged = {identity[:RECORDING] for identity in known}
    for row in rows:
        with suppress(OSError):
            identity = _identity(clip := columns.clip(row))
            fault = known.get(identity) or (_fault(clip) if identity[:RECORDING] in damaged else None)
            if fault is not None:
                yield fault, row


def _fault(clip: Clip) -> AudioError | None:
    """What is wrong with a clip that has another stretch or channel of a damaged recording."""
    try:
        check_samples(clip)
    except AudioError as error:
        return error
    return None


def _identity(clip: Clip) -> Identity:
    stat = clip.path.stat()
    return str(clip.path), stat.st_size, stat.st_mtime_ns, clip.offset, clip.start, clip.channel
