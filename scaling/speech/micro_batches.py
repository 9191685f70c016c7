"""A step's batch in pieces: what a process computes at once, the same for trainer and plan."""

from dataclasses import dataclass

import numpy as np

from scaling.arrays import IntArray


@dataclass(frozen=True, slots=True, eq=False)
class MicroBatches:
    """A batch of indices, and its pieces in the order of their lengths.

    `idle` counts the last pieces that are there only so that every rank runs as many: they repeat the batch's first
    utterance, and count nothing.
    """

    batch: IntArray
    pieces: list[IntArray]
    idle: int


def split_batch(batch: IntArray, each: int, ranks: int = 1) -> MicroBatches:
    """A batch in pieces of neighbours, the same number for every rank and up to `each`.

    Those of a rank are every `ranks`-th from its own: what runs at the same time is of nearly the same length.

    >>> [piece.tolist() for piece in split_batch(np.arange(5), 2, 2).pieces]
    [[0, 1], [2], [3], [4]]
    """
    each = min(each, -(-len(batch) // ranks))
    shares = np.array_split(batch, each * ranks)
    pieces = [share if len(share) else batch[:1] for share in shares]
    return MicroBatches(batch, pieces, idle=sum(not len(share) for share in shares))
