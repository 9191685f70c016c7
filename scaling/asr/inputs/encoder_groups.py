"""Which utterances a frozen encoder encodes together on a CPU: those of equal length that are read at about the same
time.

On one short utterance a core spends most of its time in starting operations. But the last bits of an output depend on
what else was in the matrix product. So a group is a function of the utterances and the seed alone, and whoever needs
one output of a group computes the whole group. Nothing in a group is padded.
"""

from dataclasses import dataclass

import numpy as np

from scaling.spec import SAMPLE_RATE
from scaling.speech.batches import BatchStream, Indices

GROUP_SAMPLES = 20 * SAMPLE_RATE
"""The most audio in a group, 20 s. Longer groups gain nothing at widths from 64 to 384 (measured: an utterance of .5 s
takes .2 ms instead of 1.6, one of 8 s takes 2.4 instead of 4.2), and compute more outputs that are never read."""


@dataclass(frozen=True, slots=True, eq=False)
class EncoderGroups:
    """The group of each of N utterances (`number_N`), and `members_N` by group, which g begins at `begins[g]`."""

    number_N: Indices
    members_N: Indices
    begins: Indices

    @classmethod
    def of(cls, frames_N: Indices, stream: BatchStream, most_samples: int) -> "EncoderGroups":
        """Groups of equally many frames, of a pool of the first epoch and up to `most_samples`; for 0 each is alone."""
        pool_N = stream.first_epoch_pools()
        # A run is all utterances of one length in a pool; a group is a stretch of a run.
        members_N = np.lexsort((frames_N, pool_N))
        keys_N = np.stack([pool_N, frames_N])[:, members_N]
        new_run = np.append(True, (np.diff(keys_N) != 0).any(axis=0))
        run_N = np.cumsum(new_run) - 1
        firsts = np.flatnonzero(new_run)
        largest = np.maximum(1, most_samples // stream.samples[members_N[firsts]])
        begins = np.flatnonzero((np.arange(len(members_N)) - firsts[run_N]) % largest[run_N] == 0)
        number_N = np.empty_like(members_N)
        number_N[members_N] = np.searchsorted(begins, np.arange(len(members_N)), side="right") - 1
        return cls(number_N, members_N, begins)

    def group_of(self, index: int) -> list[int]:
        """The utterances in the group of this one, itself included, in the order in which they are encoded."""
        number = int(self.number_N[index])
        end = self.begins[number + 1] if number + 1 < len(self.begins) else len(self.members_N)
        members: list[int] = self.members_N[self.begins[number] : end].tolist()
        return members
