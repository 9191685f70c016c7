"""The utterances of a corpus that a study uses, perhaps fewer hours of them, with a digest of their content."""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt

from scaling.arrays import IntArray
from scaling.errors import InputError
from scaling.spec import SAMPLE_RATE
from scaling.speech.audio import Clip, resampled
from scaling.speech.columns import Columns
from scaling.speech.corpus_index import BadRows, CorpusIndex, located, read_corpus_index
from scaling.speech.string_column import StringColumn

MAX_BAD_SHARE = 0.01
"""The share of rows that may be unusable before a corpus is refused: published corpora have far fewer (assumption)."""

TEXT_TOO_LONG = "text too long for the models"
"""The reason under which `Manifest.too_long` counts utterances with more text than a model of the study can write."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Manifest(CorpusIndex):
    """The usable rows of a corpus, or those of them that a study uses, in the order of the corpus.

    `too_long` counts the utterances that `up_to` and `without` have left out because a model has no positions for them.
    `digest` covers the `hashes` of all utterances in order, never a path: a moved corpus is the same data. `speeds`
    says how many times as fast each utterance is heard, None where all are heard once at speed 1, and `copies` how many
    times the corpus is repeated for that (`at_speeds`). `mix_channels` tells how it was read. `stands_for_hours` is set
    where lengths are assumed (`scaling.speech.assumed_manifest`): the utterances then stand for so much speech.
    """

    path: Path
    too_long: BadRows
    digest: str
    speeds: npt.NDArray[np.float64] | None = None
    copies: int = 1
    mix_channels: bool = False
    stands_for_hours: float | None = None

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def hours(self) -> float:
        """Hours of audio."""
        return self.stands_for_hours or float(self.samples.sum()) / SAMPLE_RATE / 3600

    @property
    def ids(self) -> StringColumn:
        """Ids of the utterances, or names of audio files where the corpus gives no ids."""
        return self.columns.ids

    @property
    def texts(self) -> StringColumn:
        """The transcripts, as written in the corpus."""
        return self.columns.texts

    @property
    def speakers(self) -> StringColumn:
        """The speakers, "" where unknown."""
        return self.columns.speakers

    @property
    def audio(self) -> Sequence[Clip]:
        """Where the audio lies."""
        return _Clips(self.columns, self.speeds)

    @property
    def skipped(self) -> dict[str, int]:
        """Numbers of rows that were left out, by cause, without those that `within` left out."""
        return {**self.bad_rows.counts, **self.too_long.counts}

    def up_to(self, max_seconds: float | None) -> "Manifest":
        """The utterances of at most `max_seconds`; all of them where it is None."""
        if max_seconds is None:
            return self
        return self.without(np.flatnonzero(self.samples > max_seconds * SAMPLE_RATE), f"audio over {max_seconds:g} s")

    def without(self, places: Sequence[int] | IntArray, reason: str) -> "Manifest":
        """The utterances that are not at these places; the others are counted in `too_long` under `reason`.

        Raises InputError where no utterance is left.
        """
        removed = np.isin(np.arange(len(self)), places)
        if not removed.any():
            return self
        too_long = BadRows(
            rows=self.bad_rows.rows,
            counts={**self.too_long.counts, reason: int(removed.sum())},
            first={**self.too_long.first, reason: located(self.columns, int(removed.argmax()))},
            wrong_durations=0,
        )
        if removed.all():
            raise InputError(f"{self.path}: no utterance is left: {too_long}")
        return dataclasses.replace(self._rows(np.flatnonzero(~removed)), too_long=too_long)

    def within(self, hours: float | None) -> "Manifest":
        """The utterances of at most `hours` of the audio; all of them where it is None.

        Utterances are ranked by a hash of their content and taken until the next would exceed `hours`, so that fewer
        hours are always a subset of more, whatever the order of the rows. Raises InputError where none fits.
        """
        if hours is None:
            return self
        high, low = self.hashes.view(">u8").T
        ranked = np.lexsort((low, high))
        fits = np.cumsum(self.samples[ranked]) <= hours * 3600 * SAMPLE_RATE
        if not fits[0]:
            raise InputError(f"{self.path}: hours = {hours} holds no utterance; the data has {self.hours:.4g}")
        return self if fits.all() else self._rows(np.sort(ranked[fits]))

    def at_speeds(self, speeds: tuple[float, ...]) -> "Manifest":
        """The utterances at each of the speeds, one copy of the corpus after another: row i is utterance i modulo N.

        An epoch reads all copies. Samples are counted at the speed: audio at speed 1.1 is 1.1 times as short.
        """
        if speeds == (1.0,):
            return self
        rows = np.tile(np.arange(len(self)), len(speeds))
        samples = [[resampled(n, round(SAMPLE_RATE * speed)) for n in self.samples.tolist()] for speed in speeds]
        return dataclasses.replace(
            self,
            columns=self.columns.take(rows),
            samples=np.concatenate(samples),
            hashes=self.hashes[rows],
            speeds=np.repeat(speeds, len(self)),
            copies=len(speeds),
        )

    def _rows(self, rows: IntArray) -> "Manifest":
        hashes = self.hashes[rows]
        columns, samples = self.columns.take(rows), self.samples[rows]
        return dataclasses.replace(self, columns=columns, samples=samples, hashes=hashes, digest=_digest(hashes))


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


def read_manifest(path: Path, *, max_bad_share: float = MAX_BAD_SHARE, mix_channels: bool = False) -> Manifest:
    """Read a corpus, and the header of every recording it names.

    `mix_channels` as in `read_corpus_index`. Raises InputError where nothing can be read as a corpus, where more than
    `max_bad_share` of the rows are unusable, and where no utterance is left.
    """
    utterances = read_corpus_index(path, mix_channels=mix_channels)
    bad_rows = utterances.bad_rows
    if bad_rows.total > max_bad_share * bad_rows.rows:
        raise InputError(
            f"{path}: {bad_rows.total} of {bad_rows.rows} rows cannot be used ({bad_rows}); expected at most"
            f" {max_bad_share:.3g} of the rows"
        )
    if not len(utterances.samples):
        raise InputError(f"{path}: no utterance is left: {bad_rows}")
    return Manifest(
        **{each.name: getattr(utterances, each.name) for each in dataclasses.fields(utterances)},
        path=path,
        too_long=BadRows(rows=bad_rows.rows, counts={}, first={}, wrong_durations=0),
        digest=_digest(utterances.hashes),
        mix_channels=mix_channels,
    )


def _digest(hashes: npt.NDArray[np.uint8]) -> str:
    return hashlib.sha256(hashes.tobytes()).hexdigest()[:20]
