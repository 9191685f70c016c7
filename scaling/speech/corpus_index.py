"""Every usable utterance of a corpus: read and checked once, then opened from the cache in no time.

Samples are counted from the header of every recording. In a corpus so large that this takes many minutes, and whose
every row tells its duration, durations are believed after a look at some headers; training then hears exactly as much
of each recording as was believed, so that charged FLOPs stay those of what was heard.
"""

import hashlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from json.encoder import encode_basestring  # quotes as json.dumps does
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scaling.arrays import IntArray
from scaling.errors import InputError
from scaling.spec import SAMPLE_RATE
from scaling.speech.audio import AudioError, clip_samples, read_header
from scaling.speech.columns import Columns, ColumnWriter
from scaling.speech.readers.formats import CorpusPath, find_corpus_paths
from scaling.speech.readers.row import BadRow, Row, Rows
from scaling.system import json_schema as shape
from scaling.system.cache import cache_dir

MIN_SAMPLES = 400
"""One 25 ms analysis window: shorter audio has no frame to hear anything in."""

MAX_HEADERS = 500_000
"""Rows up to which every header is read, whatever the rows say: about 20 s on a local disk (40 us each, measured)."""

CHECKED_HEADERS = 1000
"""Headers read where durations are believed: one lie in a hundred is then met ten times, give or take three."""

MAX_LIE_SAMPLES = 160
"""How far a duration may differ from the header, in samples: 10 ms, what rounding and codecs' padding come to."""

HEADER_THREADS = 16
"""Headers asked for at once: on a network disk each waits rather than works (assumption)."""

ROWS_A_TASK = 512
"""Rows whose headers one thread reads at a time: the price of handing over a task is then nothing."""

LAYOUT = 1
"""Raised when the cached columns change their meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRows:
    """Rows that cannot be used, by kind: how many, and where the first is.

    `rows` counts all rows, usable or not; `lies` usable ones whose duration is wrong by more than 10 ms and was not
    needed, since the header was read.
    """

    rows: int
    counts: dict[str, int]
    first: dict[str, str]
    wrong_durations: int

    @property
    def total(self) -> int:
        """Rows that cannot be used."""
        return sum(self.counts.values())

    def __str__(self) -> str:
        kinds = sorted(self.counts, key=lambda kind: -self.counts[kind])
        return "; ".join(f"{self.counts[kind]} x {kind}, the first {self.first[kind]}" for kind in kinds)


BAD_ROWS = {
    "rows": shape.count,
    "counts": {shape.ANY: shape.count},
    "first": {shape.ANY: shape.text},
    "wrong_durations": shape.count,
}
"""How the cache holds them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CorpusIndex:
    """Usable rows in the corpus's order.

    `samples` (N,) are real ones at 16 kHz, or `believed`; `hashes` (N, 16) are bytes that depend on text, samples and
    speaker alone.
    """

    columns: Columns = field(repr=False)
    samples: IntArray = field(repr=False)
    hashes: npt.NDArray[np.uint8] = field(repr=False)
    bad_rows: BadRows
    durations_trusted: bool


def read_corpus_index(path: Path) -> CorpusIndex:
    """The rows of the corpus at `path` (see `scaling.speech.readers.formats`), from the cache where nothing has changed.

    Raises InputError where nothing there can be read as a corpus, or it has no row.
    """
    sources = find_corpus_paths(path)
    entry = cache_dir() / "utterances" / _identity(sources)
    return _cached(entry) or _moved(_built(path, sources), entry)


def _identity(sources: Sequence[CorpusPath]) -> str:
    listing: list[object] = [LAYOUT]
    for source in sources:
        listing.append([source.format.name, str(source.path.resolve()), source.part])
        for file in source.files():
            stat = file.stat()
            listing.append([str(file), stat.st_size, stat.st_mtime_ns])
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()


def _cached(entry: Path) -> CorpusIndex | None:
    """What lies in the cache, unless some audio has changed since."""
    try:
        meta = json.loads((entry / "meta.json").read_text("utf-8"))
        shape.check_shape(meta["faults"], BAD_ROWS, str(entry))
        if meta["sizes"] != _sizes(entry):
            return None
        found = _opened(entry, meta)
        fresh = meta["believed"] or meta["stamp"] == _stamp(Columns.opened(entry))
    except Exception:  # whatever ails what lies in a cache, it is made again
        return None
    return found if fresh else None


def _sizes(entry: Path) -> dict[str, int]:
    """Bytes of the columns: what a full disk or a power cut has shortened is told by them."""
    return {file.name: file.stat().st_size for file in sorted(entry.iterdir()) if file.name != "meta.json"}


def _opened(folder: Path, meta: dict[str, Any]) -> CorpusIndex:
    columns, kept = Columns.opened(folder), np.load(folder / "kept.npy", mmap_mode="r")
    return CorpusIndex(
        columns=_only(columns, kept),
        samples=np.load(folder / "samples.npy", mmap_mode="r"),
        hashes=np.load(folder / "hashes.npy", mmap_mode="r"),
        bad_rows=BadRows(**meta["faults"]),
        durations_trusted=meta["believed"],
    )


def _moved(folder: Path, entry: Path) -> CorpusIndex:
    """What was built in `folder`, at its place in the cache if that can be written."""
    found = _opened(folder, json.loads((folder / "meta.json").read_text("utf-8")))  # mapped files outlive their names
    try:
        if entry.exists():  # outdated, or another process was faster
            shutil.rmtree(entry)
        folder.rename(entry)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def _built(path: Path, sources: Sequence[CorpusPath]) -> Path:
    """A folder with all columns, beside the cache's entries if that can be written."""
    folder = _scratch()
    try:
        _build(path, sources, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _scratch() -> Path:
    try:
        beside = cache_dir() / "utterances"
        beside.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=".partial-", dir=beside))
    except OSError:
        return Path(tempfile.mkdtemp(prefix="asr-scaling-"))


def _build(path: Path, sources: Sequence[CorpusPath], folder: Path) -> None:
    faults = _BadRowCounter()
    with closing(ColumnWriter(folder)) as writer:
        for source in sources:
            writer.add(faults.usable(source.rows()))
    columns = Columns.opened(folder)
    rows = len(columns) + faults.counts.total()
    if not rows:
        raise InputError(f"{path}: the manifest is empty")
    claimed = _claimed(columns)
    believed = rows > MAX_HEADERS and bool((claimed >= 0).all())
    stamp = "" if believed else _stamp(columns)
    samples = _spot_checked(columns, claimed, faults) if believed else _from_headers(columns, faults)
    kept = _usable(columns, samples, faults)
    lies = (claimed[kept] >= 0) & (np.abs(claimed[kept] - samples[kept]) > MAX_LIE_SAMPLES)
    np.save(folder / "kept.npy", kept)
    np.save(folder / "samples.npy", samples[kept])
    np.save(folder / "hashes.npy", _hashes(_only(columns, kept), samples[kept]))
    counted = {"rows": rows, "counts": faults.counts, "first": faults.first, "wrong_durations": int(lies.sum())}
    meta = {"believed": believed, "stamp": stamp, "faults": counted, "sizes": _sizes(folder)}
    (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")


def _only(columns: Columns, kept: IntArray) -> Columns:
    """Without a copy where nothing is left out, as in most corpora."""
    return columns if len(kept) == len(columns) else columns.take(kept)


class _BadRowCounter:
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.first: dict[str, str] = {}

    def add(self, kind: str, detail: str, count: int = 1) -> None:
        self.counts[kind] += count
        self.first.setdefault(kind, detail)

    def usable(self, rows: Rows) -> Iterator[Row]:
        """The rows among `rows`; the faults are counted."""
        for row in rows:
            if isinstance(row, BadRow):
                self.add(row.kind, row.detail)
            else:
                yield row


def _claimed(columns: Columns) -> IntArray:
    """Samples at 16 kHz that rows claim, -1 where they do not."""
    durations = np.nan_to_num(columns.place["duration"], nan=-1 / SAMPLE_RATE)
    return np.asarray(np.round(durations * SAMPLE_RATE), dtype=np.int64)


def _stamp(columns: Columns) -> str:
    """What changes when an audio file does."""

    def stats(paths: Sequence[str]) -> str:
        return "".join(map(_stat, paths))

    with ThreadPoolExecutor(HEADER_THREADS) as pool:
        starts = range(0, len(columns.files), ROWS_A_TASK)
        stamped = pool.map(lambda first: stats(columns.files[first : first + ROWS_A_TASK]), starts)
        return hashlib.sha256("".join(stamped).encode()).hexdigest()


def _stat(path: str) -> str:
    try:
        stat = Path(path).stat()
    except OSError:
        return "-\n"
    return f"{stat.st_size} {stat.st_mtime_ns}\n"


def _from_headers(columns: Columns, faults: _BadRowCounter) -> IntArray:
    """Real samples of every row, -1 where there are none."""
    rows = np.arange(len(columns))
    tasks = np.array_split(rows, -(-len(rows) // ROWS_A_TASK)) if len(rows) else []
    with ThreadPoolExecutor(HEADER_THREADS) as pool:
        found = list(pool.map(lambda task: _read_headers(columns, task), tasks))
    for _, broken in found:
        for error, row in broken:
            faults.add(error.kind, located(columns, row, error))
    return np.concatenate([np.empty(0, np.int64), *(samples for samples, _ in found)])


def _read_headers(columns: Columns, rows: IntArray) -> tuple[IntArray, list[tuple[AudioError, int]]]:
    samples, broken = np.full(len(rows), -1, dtype=np.int64), list[tuple[AudioError, int]]()
    recording, header = None, None
    for position, row in enumerate(rows.tolist()):
        clip = columns.clip(row)
        try:
            if recording != (clip.path, clip.offset) or header is None:
                recording, header = (clip.path, clip.offset), None
                header = read_header(clip)
            samples[position] = clip_samples(clip, header)
        except AudioError as error:
            broken.append((error, row))
    return samples, broken


def _spot_checked(columns: Columns, claimed: IntArray, faults: _BadRowCounter) -> IntArray:
    """Samples as claimed, but -1 for those of a few whose headers were read and say otherwise."""
    rows = np.sort(np.random.default_rng(0).choice(len(claimed), CHECKED_HEADERS, replace=False))
    found = _from_headers(columns.take(rows), faults)
    lying = (found >= 0) & (np.abs(found - claimed[rows]) > MAX_LIE_SAMPLES)
    for row, real in zip(rows[lying].tolist(), found[lying].tolist(), strict=True):
        told = f"the duration says {claimed[row]} samples at 16 kHz, the header {real}"
        faults.add("lying duration", f"{located(columns, row)}: {told}")
    samples = claimed.copy()
    samples[rows[lying | (found < 0)]] = -1
    return samples


def _usable(columns: Columns, samples: IntArray, faults: _BadRowCounter) -> IntArray:
    """Rows without a fault, in order; the others are counted, each under its first fault."""
    usable = samples >= 0
    for kind, fine in (
        ("empty text", columns.texts.sizes() > 0),
        ("audio under 25 ms", samples >= MIN_SAMPLES),
        ("repeated id", _first_of_their_id(columns.id_hashes)),
    ):
        rows = np.flatnonzero(usable & ~fine)
        if len(rows):
            faults.add(kind, located(columns, int(rows[0])), len(rows))
        usable &= fine
    return np.flatnonzero(usable)


def _first_of_their_id(id_hashes: IntArray) -> npt.NDArray[np.bool_]:
    first = np.asarray(id_hashes == 0)
    first[np.unique(id_hashes, return_index=True)[1]] = True
    return first


def located(columns: Columns, row: int, error: AudioError | None = None) -> str:
    """Where a row stands in its corpus, what it is called, and what is wrong with it or where its audio lies."""
    number = int(columns.place[row]["line"])
    line = f"line {number}, " if number else ""
    return f"{line}{columns.ids[row]!r}: {error or columns.clip(row)}"


def _hashes(columns: Columns, samples: IntArray) -> npt.NDArray[np.uint8]:
    """16 bytes a row, of the JSON list of text, samples and speaker."""
    hashed = bytearray()
    quote, blake2b = encode_basestring, hashlib.blake2b
    for text, count, speaker in zip(columns.texts, map(int, samples), columns.speakers, strict=True):
        content = f"[{quote(text)}, {count}, {quote(speaker)}]"
        hashed += blake2b(content.encode(), digest_size=16).digest()
    return np.frombuffer(hashed, dtype=np.uint8).reshape(-1, 16)
