"""What a study reads of a corpus: usable utterances, perhaps fewer hours of them, under a digest of their content."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt

from scaling.arrays import IntArray
from scaling.errors import InputError
from scaling.spec import SAMPLE_RATE
from scaling.speech.audio import Clip
from scaling.speech.columns import Columns
from scaling.speech.corpus_index import BadRows, CorpusIndex, located, read_corpus_index
from scaling.speech.string_column import StringColumn

MAX_BAD_SHARE = 0.01
"""The share of rows that may be unusable before a corpus is refused: published corpora have far fewer (assumption)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Manifest:
    """Utterances in the corpus's order, as columns of equal length.

    `samples` are real samples at 16 kHz, or as told where the corpus is too large to read every header (`believed`).
    `too_long` counts utterances that were left out because a model of the study has no positions for them; `unwritable`
    are the places of those whose text was too long. `digest` covers text, samples and speaker of every utterance in
    order, never a path: a moved corpus is the same data.
    `speeds` says how many times as fast each is heard, None for none (`scaling.speech.speed_perturbation`).
    `stands_for_hours` is set where lengths are assumed (`scaling.speech.assumed_manifest`): so much speech is meant by the utterances.
    """

    path: Path
    columns: Columns = field(repr=False)
    samples: IntArray = field(repr=False)
    bad_rows: BadRows
    too_long: BadRows
    durations_trusted: bool
    digest: str
    unwritable: IntArray = field(repr=False, default_factory=lambda: np.empty(0, np.int64))
    speeds: npt.NDArray[np.float64] | None = None
    stands_for_hours: float | None = None

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def hours(self) -> float:
        """Hours of audio."""
        return self.stands_for_hours or float(self.samples.sum()) / SAMPLE_RATE / 3600

    @property
    def ids(self) -> StringColumn:
        """Names of the utterances, for messages and result tables."""
        return self.columns.ids

    @property
    def texts(self) -> StringColumn:
        """What was said, as written in the corpus."""
        return self.columns.texts

    @property
    def speakers(self) -> StringColumn:
        """Who spoke, empty where unknown."""
        return self.columns.speakers

    @property
    def audio(self) -> Sequence[Clip]:
        """Where the audio lies."""
        return _Clips(self.columns, self.speeds)

    @property
    def skipped(self) -> dict[str, int]:
        """Rows of the corpus that are not among the utterances, by cause; not those beyond a cap on hours."""
        return {**self.bad_rows.counts, **self.too_long.counts}


@dataclass(frozen=True, slots=True)
class _Clips(Sequence[Clip]):
    columns: Columns
    speeds: npt.NDArray[np.float64] | None

    def __len__(self) -> int:
        return len(self.columns)

    @overload
    def __getitem__(self, index: int) -> Clip: ...
    @overload
    def __getitem__(self, index: slice) -> list[Clip]: ...
    def __getitem__(self, index: int | slice) -> Clip | list[Clip]:
        rows = range(len(self))[index]
        return self._clip(rows) if isinstance(rows, int) else list(map(self._clip, rows))

    def __iter__(self) -> Iterator[Clip]:
        return map(self._clip, range(len(self)))

    def _clip(self, row: int) -> Clip:
        clip = self.columns.clip(row)
        return clip if self.speeds is None else dataclasses.replace(clip, speed=float(self.speeds[row]))


Unwritable = Callable[[StringColumn, IntArray], IntArray]
"""From texts and samples, both (N,), to the places of those whose text is too long."""


def read_manifest(
    path: Path,
    hours: float | None = None,
    *,
    max_seconds: float | None = None,
    unwritable: Unwritable | None = None,
    max_bad_share: float = MAX_BAD_SHARE,
) -> Manifest:
    """Read a corpus, and the header of every recording it names.

    `max_seconds` leaves out longer utterances, and `unwritable` those that it chooses among the rest. `hours` keeps at
    most that much audio: utterances are ranked by a hash of their content and taken until the next would exceed it, so
    that fewer hours are always a subset of more, whatever the order of the rows.
    Raises InputError where nothing can be read as a corpus, where more than `max_bad_share` of the rows are unusable,
    and where no utterance is left.
    """
    found = read_corpus_index(path)
    if found.bad_rows.total > max_bad_share * found.bad_rows.rows:
        raise InputError(
            f"{path}: {found.bad_rows.total} of {found.bad_rows.rows} rows cannot be used ({found.bad_rows}); expected at"
            f" most {max_bad_share:.3g} of the rows"
        )
    rows, long = np.arange(len(found.samples)), dict[str, IntArray]()
    if max_seconds is not None:
        heard = found.samples <= max_seconds * SAMPLE_RATE
        rows, long[f"audio over {max_seconds:g} s"] = rows[heard], rows[~heard]
    places = np.empty(0, np.int64)
    if unwritable is not None:
        places = unwritable(found.columns.texts.take(rows), found.samples[rows])
        written = ~np.isin(np.arange(len(rows)), places)
        rows, long["text too long for the models"] = rows[written], rows[~written]
    too_long = _too_long(found, long)
    if hours is not None:
        rows = _within(hours, found, rows, path)
    if not len(rows):
        raise InputError(f"{path}: no utterance is left: {too_long if too_long.total else found.bad_rows}")
    everything = len(rows) == len(found.samples)
    return Manifest(
        path=path,
        columns=found.columns if everything else found.columns.take(rows),
        samples=found.samples if everything else found.samples[rows],
        bad_rows=found.bad_rows,
        too_long=too_long,
        durations_trusted=found.durations_trusted,
        digest=hashlib.sha256(found.hashes[rows].tobytes()).hexdigest()[:20],
        unwritable=places,
    )


def _too_long(found: CorpusIndex, long: dict[str, IntArray]) -> BadRows:
    met = {kind: rows for kind, rows in long.items() if len(rows)}
    return BadRows(
        rows=len(found.samples),
        counts={kind: len(rows) for kind, rows in met.items()},
        first={kind: located(found.columns, int(rows[0])) for kind, rows in met.items()},
        wrong_durations=0,
    )


def _within(hours: float, found: CorpusIndex, rows: IntArray, path: Path) -> IntArray:
    high, low = found.hashes.view(">u8")[rows].T
    ranked = rows[np.lexsort((low, high))]
    fits = np.cumsum(found.samples[ranked]) <= hours * 3600 * SAMPLE_RATE
    if not fits[:1].any():
        there = found.samples[rows].sum() / SAMPLE_RATE / 3600
        raise InputError(f"{path}: hours = {hours} holds no utterance; the data has {there:.4g}")
    return np.sort(ranked[fits])
