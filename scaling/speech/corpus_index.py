"""The index of a corpus: every usable utterance, read and checked once, then opened from the cache.

Samples are counted from the header of every recording, whose end is read too; recordings whose samples may be any
number are read whole. Where a corpus is so large that this takes many minutes, and every row gives a duration, some
headers are checked and the durations are trusted. Training then reads exactly as much of each recording as its duration
says, so that the FLOPs charged are those of the audio that was used.
"""

import hashlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from json.encoder import encode_basestring  # quotes as json.dumps does
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from scaling.arrays import IntArray
from scaling.errors import InputError
from scaling.spec import SAMPLE_RATE
from scaling.speech.audio import AudioError
from scaling.speech.columns import Columns, ColumnWriter, rename_utterances
from scaling.speech.readers.formats import CorpusPath, find_corpus_paths
from scaling.speech.readers.row import BadRow, Row, Rows
from scaling.speech.recording_faults import HEADER_THREADS, ROWS_A_TASK, HeaderFacts, read_headers, remembered_faults
from scaling.speech.utterance_names import distinct_names
from scaling.system.cache import cache_dir

MIN_SAMPLES = 400
"""One 25 ms analysis window: shorter audio has no frame."""

MAX_HEADERS = 500_000
"""Rows up to which every header is read, whatever the rows say: half a minute to four on a local disk (60 us of
processor time for wav, 130 for flac, 470 for mp3, measured)."""

CHECKED_HEADERS = 1000
"""Headers read where durations are trusted: if one in a hundred is wrong, ten are met, give or take three."""

MAX_DURATION_ERROR = 160
"""How far a duration may differ from the header, in samples: 10 ms, which rounding and the padding of codecs cause."""

LAYOUT = 3
"""Raised when the cached columns change their meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRows:
    """Rows that cannot be used: for each kind of fault how many there are, and where the first one is.

    `rows` counts all rows of the corpus. `wrong_durations` counts usable rows whose duration is wrong by more than
    10 ms, where the duration was not needed because the header was read.
    """

    rows: int
    counts: dict[str, int]
    first: dict[str, str]
    wrong_durations: int

    @property
    def total(self) -> int:
        """The number of rows that cannot be used."""
        return sum(self.counts.values())

    def __str__(self) -> str:
        kinds = sorted(self.counts, key=lambda kind: -self.counts[kind])
        return "; ".join(f"{self.counts[kind]} x {kind}, the first {self.first[kind]}" for kind in kinds)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CorpusIndex:
    """The usable rows of a corpus, in its order.

    `samples` (N,) are counted from headers at 16 kHz, or from durations where `durations_trusted`. `hashes` (N, 16) are
    bytes that depend on text, samples and speaker alone, and on the channel where a recording has several.
    """

    columns: Columns = field(repr=False)
    samples: IntArray = field(repr=False)
    hashes: npt.NDArray[np.uint8] = field(repr=False)
    bad_rows: BadRows
    durations_trusted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """What a cache entry says beside its columns. `stamp` changes when an audio file does.

    `sizes` are the bytes of its files: a file that a full disk or a power cut has shortened is detected by its size.
    """

    durations_trusted: bool
    stamp: str
    bad_rows: BadRows
    sizes: dict[str, int]


def read_corpus_index(path: Path, *, mix_channels: bool = False) -> CorpusIndex:
    """The index of the corpus at `path` (see `scaling.speech.readers.formats`), from the cache if nothing has changed.

    Where `mix_channels`, a recording of several channels of which its row names none is the mean of all; else the row
    is bad. Raises InputError where nothing at `path` can be read as a corpus, or the corpus has no row.
    """
    corpus_paths = find_corpus_paths(path)
    folder = cache_dir() / "utterances" / _identity(corpus_paths, mix_channels)
    return _without_remembered(_cached(folder) or _moved(_built(path, corpus_paths, mix_channels), folder))


def _without_remembered(index: CorpusIndex) -> CorpusIndex:
    """The index without the rows whose audio a run could not use, which are counted as bad."""
    faults = remembered_faults(index.columns)
    if not faults:
        return index
    counter = _BadRowCounter(index.bad_rows)
    for fault, row in faults:
        counter.add(fault.kind, located(index.columns, row, fault))
    rest = np.setdiff1d(np.arange(len(index.columns)), [row for _, row in faults])
    return replace(
        index,
        columns=index.columns.take(rest),
        samples=index.samples[rest],
        hashes=index.hashes[rest],
        bad_rows=replace(index.bad_rows, counts=dict(counter.counts), first=counter.first),
    )


def _identity(corpus_paths: Sequence[CorpusPath], mix_channels: bool) -> str:
    listing: list[object] = [LAYOUT, mix_channels]
    for corpus_path in corpus_paths:
        listing.append([corpus_path.format.name, str(corpus_path.path.resolve()), corpus_path.part])
        for file in corpus_path.files():
            stat = file.stat()
            listing.append([str(file), stat.st_size, stat.st_mtime_ns])
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()


def _cached(folder: Path) -> CorpusIndex | None:
    """The index in a folder of the cache, unless some audio has changed since."""
    try:
        entry = _read_entry(folder)
        if entry.sizes != _sizes(folder):
            return None
        index = _opened(folder, entry)
        is_fresh = entry.durations_trusted or entry.stamp == _stamp(Columns.opened(folder))
    except Exception:  # whatever is wrong with a cache entry, it is made again
        return None
    return index if is_fresh else None


def _read_entry(folder: Path) -> _Entry:
    return TypeAdapter(_Entry).validate_json((folder / "meta.json").read_bytes(), strict=True)


def _sizes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_size for file in sorted(folder.iterdir()) if file.name != "meta.json"}


def _opened(folder: Path, entry: _Entry) -> CorpusIndex:
    columns, usable = Columns.opened(folder), np.load(folder / "usable.npy", mmap_mode="r")
    return CorpusIndex(
        columns=_only(columns, usable),
        samples=np.load(folder / "samples.npy", mmap_mode="r"),
        hashes=np.load(folder / "hashes.npy", mmap_mode="r"),
        bad_rows=entry.bad_rows,
        durations_trusted=entry.durations_trusted,
    )


def _moved(built: Path, folder: Path) -> CorpusIndex:
    """The index that was built in the folder `built`, which becomes `folder` if the cache can be written."""
    index = _opened(built, _read_entry(built))  # mapped files outlive their names
    try:
        if folder.exists():  # it is outdated, or another process was faster
            shutil.rmtree(folder)
        built.rename(folder)
    except OSError:
        shutil.rmtree(built, ignore_errors=True)
    return index


def _built(path: Path, corpus_paths: Sequence[CorpusPath], mix_channels: bool) -> Path:
    """A new folder with the index, inside the cache if it can be written."""
    folder = _temporary_folder()
    try:
        _build(path, corpus_paths, mix_channels, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _temporary_folder() -> Path:
    try:
        entries = cache_dir() / "utterances"
        entries.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=".partial-", dir=entries))
    except OSError:
        return Path(tempfile.mkdtemp(prefix="asr-scaling-"))


def _build(path: Path, corpus_paths: Sequence[CorpusPath], mix_channels: bool, folder: Path) -> None:
    counter = _BadRowCounter()
    with closing(ColumnWriter(folder)) as writer:
        for corpus_path in corpus_paths:
            rows_read = counter.usable(corpus_path.rows())
            writer.add((row.mixed for row in rows_read) if mix_channels else rows_read)
    columns = Columns.opened(folder)
    if names := distinct_names(columns.ids, columns.id_hashes != 0, columns.clip):
        columns = rename_utterances(folder, columns, names)
    rows = len(columns) + counter.counts.total()
    if not rows:
        raise InputError(f"{path}: the manifest is empty")
    claimed = _claimed_samples(columns)
    trusted = rows > MAX_HEADERS and bool((claimed >= 0).all())
    stamp = "" if trusted else _stamp(columns)
    facts = None if trusted else _from_headers(columns, counter)
    samples = _spot_checked(columns, claimed, counter) if facts is None else facts.samples
    usable = _usable(columns, samples, counter)
    wrong = (claimed[usable] >= 0) & (np.abs(claimed[usable] - samples[usable]) > MAX_DURATION_ERROR)
    np.save(folder / "usable.npy", usable)
    np.save(folder / "samples.npy", samples[usable])
    has_several = columns.place["channel"] > 0 if facts is None else facts.has_several
    np.save(folder / "hashes.npy", _hashes(_only(columns, usable), samples[usable], has_several[usable]))
    bad_rows = BadRows(rows=rows, counts=dict(counter.counts), first=counter.first, wrong_durations=int(wrong.sum()))
    entry = _Entry(durations_trusted=trusted, stamp=stamp, bad_rows=bad_rows, sizes=_sizes(folder))
    (folder / "meta.json").write_text(json.dumps(asdict(entry)), encoding="utf-8")


def _only(columns: Columns, rows: IntArray) -> Columns:
    """These rows of the columns, without a copy where they are all rows, as in most corpora."""
    return columns if len(rows) == len(columns) else columns.take(rows)


class _BadRowCounter:
    def __init__(self, earlier: BadRows | None = None) -> None:
        self.counts: Counter[str] = Counter({} if earlier is None else earlier.counts)
        self.first: dict[str, str] = {} if earlier is None else dict(earlier.first)

    def add(self, kind: str, detail: str, count: int = 1) -> None:
        self.counts[kind] += count
        self.first.setdefault(kind, detail)

    def usable(self, rows: Rows) -> Iterator[Row]:
        """The rows, without the bad rows, which are counted."""
        for row in rows:
            if isinstance(row, BadRow):
                self.add(row.kind, row.detail)
            else:
                yield row


def _claimed_samples(columns: Columns) -> IntArray:
    """Samples at 16 kHz by the duration of each row, -1 where a row has none."""
    durations = np.nan_to_num(columns.place["duration"], nan=-1 / SAMPLE_RATE)
    return np.asarray(np.round(durations * SAMPLE_RATE), dtype=np.int64)


def _stamp(columns: Columns) -> str:
    """A digest that changes when the size or the time of an audio file does."""

    def stats(first: int) -> str:
        return "".join(map(_stat, columns.files[first : first + ROWS_A_TASK]))

    with ThreadPoolExecutor(HEADER_THREADS) as pool:
        stamps = pool.map(stats, range(0, len(columns.files), ROWS_A_TASK))
        return hashlib.sha256("".join(stamps).encode()).hexdigest()


def _stat(path: str) -> str:
    try:
        stat = Path(path).stat()
    except (OSError, ValueError):  # a path with a zero byte
        return "-\n"
    return f"{stat.st_size} {stat.st_mtime_ns}\n"


def _from_headers(columns: Columns, counter: _BadRowCounter) -> HeaderFacts:
    """What the header of every row says; rows whose audio cannot be used are counted."""
    facts, errors = read_headers(columns)
    for error, row in errors:
        counter.add(error.kind, located(columns, row, error))
    return facts


def _spot_checked(columns: Columns, claimed: IntArray, counter: _BadRowCounter) -> IntArray:
    """The claimed samples, with -1 for rows whose header was among those checked and says otherwise."""
    rows = np.sort(np.random.default_rng(0).choice(len(claimed), CHECKED_HEADERS, replace=False))
    real = _from_headers(columns.take(rows), counter).samples
    is_wrong = (real >= 0) & (np.abs(real - claimed[rows]) > MAX_DURATION_ERROR)
    for row, count in zip(rows[is_wrong].tolist(), real[is_wrong].tolist(), strict=True):
        detail = f"the duration says {claimed[row]} samples at 16 kHz, the header {count}"
        counter.add("wrong duration", f"{located(columns, row)}: {detail}")
    samples = claimed.copy()
    samples[rows[is_wrong | (real < 0)]] = -1
    return samples


def _usable(columns: Columns, samples: IntArray, counter: _BadRowCounter) -> IntArray:
    """The rows without a fault, in order. The others are counted, each under its first fault."""
    usable = samples >= 0
    for kind, passes in (
        ("empty text", columns.texts.sizes() > 0),
        ("audio under 25 ms", samples >= MIN_SAMPLES),
        ("repeated id", _is_first_of_its_id(columns.id_hashes)),
    ):
        rows = np.flatnonzero(usable & ~passes)
        if len(rows):
            counter.add(kind, located(columns, int(rows[0])), len(rows))
        usable &= passes
    return np.flatnonzero(usable)


def _is_first_of_its_id(id_hashes: IntArray) -> npt.NDArray[np.bool_]:
    is_first = np.asarray(id_hashes == 0)
    is_first[np.unique(id_hashes, return_index=True)[1]] = True
    return is_first


def located(columns: Columns, row: int, error: AudioError | None = None) -> str:
    """The line and the name of a row, and what is wrong with it or, without `error`, where its audio lies."""
    number = int(columns.place[row]["line"])
    line = f"line {number}, " if number else ""
    return f"{line}{columns.ids[row]!r}: {error or columns.clip(row)}"


def _hashes(columns: Columns, samples: IntArray, has_several: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """16 bytes a row: a hash of the JSON list of text, samples, speaker, and the channel where there are several."""
    hashed = bytearray()
    quote, blake2b = encode_basestring, hashlib.blake2b
    channels = [f", {channel}" for channel in range(int(columns.place["channel"].max(initial=0)) + 1)]
    named = np.where(has_several, columns.place["channel"], -1).tolist()
    for text, count, speaker, channel in zip(columns.texts, map(int, samples), columns.speakers, named, strict=True):
        content = f"[{quote(text)}, {count}, {quote(speaker)}{channels[channel] if channel >= 0 else ''}]"
        hashed += blake2b(content.encode(), digest_size=16).digest()
    return np.frombuffer(hashed, dtype=np.uint8).reshape(-1, 16)
