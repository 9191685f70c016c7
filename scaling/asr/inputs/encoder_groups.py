"""Which utterances a frozen encoder reads together on a CPU: those of equal length, read at about the same time.

On one short utterance a core spends most of its time in starting operations. But the last bits of an output depend on
what else was in the matrix product. So a group is a function of the utterances and the seed alone: whoever needs one
output of a group, at whatever time, computes the whole group. Nothing in a group is padded.
"""

from dataclasses import dataclass

import numpy as np

from scaling.spec import SAMPLE_RATE
from scaling.speech.batches import BatchStream, Indices

GROUP_SAMPLES = 20 * SAMPLE_RATE
"""The most audio in a group, 20 s. Longer groups gain nothing at widths from 64 to 384 (measured: an utterance of .5 s
takes .2 ms instead of 1.6, one of 8 s takes 2.4 instead of 4.2), and compute more that is never read."""


@dataclass(frozen=True, slots=True, eq=False)
class EncoderGroups:
    """A partition of N utterances: `number_N` says which group each is in, `members_N` lists them group by group, and
    group g begins at `begins[g]`.
    """

    number_N: Indices
    members_N: Indices
    begins: Indices

    @classmethod
    def of(cls, frames_N: Indices, stream: BatchStream, most_samples: int) -> "EncoderGroups":
        """Examples of as many input frames in one pool of the stream's first epoch, up to so much audio a group."""
        pool_N = stream.first_epoch_pools()
        # A run is all utterances of one length in a pool; a group is a stretch of a run.
        members_N = np.lexsort((frames_N, pool_N))
        alike_N = np.stack([pool_N, frames_N])[:, members_N]
        new_run = np.append(True, (np.diff(alike_N) != 0).any(axis=0))
        run_N = np.cumsum(new_run) - 1
        firsts = np.flatnonzero(new_run)
        most = np.maximum(1, most_samples // stream.samples[members_N[firsts]])
        begins = np.flatnonzero((np.arange(len(members_N)) - firsts[run_N]) % most[run_N] == 0)
        number_N = np.empty_like(members_N)
        number_N[members_N] = np.searchsorted(begins, np.arange(len(members_N)), side="right") - 1
        return cls(number_N, members_N, begins)

    def group_of(self, index: int) -> list[int]:
        """The utterances that are heard with this one, itself among them, in their own order."""
        number = int(self.number_N[index])
        end = self.begins[number + 1] if number + 1 < len(self.begins) else len(self.members_N)
        found: list[int] = self.members_N[self.begins[number] : end].tolist()
        return found
