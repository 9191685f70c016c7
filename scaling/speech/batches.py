"""The order in which training reads utterances, and the micro-batches of a step, for trainer and plan alike.

The order is a function of (lengths, seed, position).

Each epoch is a seeded permutation that is divided into pools. The utterances of a pool are sorted by length and grouped
into batches of nearly equal length, and the batches are shuffled. A stage begins at the pool after the one in which the
previous stage stopped, so that stages read different speech until an epoch has been read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from scaling.arrays import IntArray
from scaling.spec import SAMPLE_RATE

POOL_UTTERANCES = 512
"""Utterances in a pool: so many that padding wastes under 7 % on log-normal 1-8 s speech at batch 16 (measured), so few
that a stage of a few dozen steps leaves little of its last pool unread."""

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the stream: the next batch is number `batch` of pool number `pool`, counted over all epochs."""

    pool: int
    batch: int

    def next_stage(self) -> "Position":
        """Where the stage after this one begins."""
        return self if self.batch == 0 else Position(self.pool + 1, 0)


@dataclass(frozen=True, slots=True)
class BatchStream:
    """Batches of utterance indices. `samples` (N,) are the real samples of each utterance at 16 kHz."""

    samples: Indices
    seed: int
    batch_audio_seconds: float

    @property
    def pools_per_epoch(self) -> int:
        """Pools in one pass over the data."""
        return -(-len(self.samples) // POOL_UTTERANCES)

    def batches(self, position: Position) -> Iterator[tuple[Indices, Position]]:
        """Batches from `position` on, without end, each with the position after it."""
        pool = position.pool
        skip = position.batch
        while True:
            batches = self._pool(pool)
            for number in range(skip, len(batches)):
                last = number + 1 == len(batches)
                yield batches[number], Position(pool + 1, 0) if last else Position(pool, number + 1)
            pool, skip = pool + 1, 0

    def pools(self, position: Position) -> Iterator[list[tuple[Indices, Position]]]:
        """What `batches` yields, a pool at a time; no utterance is twice in a pool."""
        pool = []
        for batch, after in self.batches(position):
            pool.append((batch, after))
            if after.batch == 0:
                yield pool
                pool = []

    def first_epoch_pools(self) -> Indices:
        """The pool that each utterance is in during the first epoch (N,)."""
        pools = np.empty(len(self.samples), dtype=np.int64)
        pools[_order(self.seed, 0, len(self.samples))] = np.arange(len(self.samples)) // POOL_UTTERANCES
        return pools

    def epoch_of(self, after: Position) -> int:
        """The epoch of the batch that ends at `after`."""
        return (after.pool if after.batch else after.pool - 1) // self.pools_per_epoch

    def _pool(self, pool: int) -> list[Indices]:
        epoch, within = divmod(pool, self.pools_per_epoch)
        order = _order(self.seed, epoch, len(self.samples))
        chosen = order[within * POOL_UTTERANCES : (within + 1) * POOL_UTTERANCES]
        batches = self._grouped(chosen[np.argsort(self.samples[chosen], kind="stable")])
        shuffled = np.random.default_rng([self.seed, epoch, within]).permutation(len(batches))
        return [batches[number] for number in shuffled]

    def _grouped(self, by_length: Indices) -> list[Indices]:
        """Greedy groups whose padded length stays within the batch; a longer utterance is a batch of its own."""
        limit = self.batch_audio_seconds * SAMPLE_RATE
        batches, first = [], 0
        for end in range(1, len(by_length) + 1):
            full = end == len(by_length) or self.samples[by_length[end]] * (end + 1 - first) > limit
            if full:
                batches.append(by_length[first:end])
                first = end
        return batches


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, utterances: int) -> Indices:
    """The order of an epoch, cached: drawing it for five million utterances takes as long as reading a pool."""
    return np.random.default_rng([seed, epoch]).permutation(utterances)


@dataclass(frozen=True, slots=True, eq=False)
class MicroBatches:
    """A batch of indices, and the micro-batches (`pieces`) that it is divided into, in the order of their lengths.

    The last `idle` pieces only make every rank run as many: they repeat the first utterance and count for nothing.
    """

    batch: IntArray
    pieces: list[IntArray]
    idle: int


def split_batch(batch: IntArray, each: int, ranks: int = 1) -> MicroBatches:
    """The batch divided into pieces of neighbours, as many for every rank and up to `each`.

    Rank r computes pieces r, r + ranks and so on: pieces that run at the same time have nearly the same length.

    >>> [piece.tolist() for piece in split_batch(np.arange(5), 2, 2).pieces]
    [[0, 1], [2], [3], [4]]
    """
    each = min(each, -(-len(batch) // ranks))
    shares = np.array_split(batch, each * ranks)
    pieces = [share if len(share) else batch[:1] for share in shares]
    return MicroBatches(batch, pieces, idle=sum(not len(share) for share in shares))
