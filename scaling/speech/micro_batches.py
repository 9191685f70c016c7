"""The batch of a step divided into micro-batches, of which a process computes one at a time; for trainer and plan."""

from dataclasses import dataclass

import numpy as np

from scaling.arrays import IntArray


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
