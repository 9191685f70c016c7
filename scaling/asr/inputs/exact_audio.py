"""Recordings, heard at exactly the length that FLOPs are charged for."""

from dataclasses import dataclass

import numpy as np

from scaling.console import log
from scaling.speech.audio import AudioError, Clip, read_clip
from scaling.speech.corpus_index import MAX_DURATION_ERROR
from scaling.speech.manifest import MAX_BAD_SHARE, Manifest

JUDGED_AFTER = 1000
"""Examples heard before a share of bad ones ends the run: fewer say little about 1 %."""


@dataclass(slots=True, kw_only=True, eq=False)
class ExactAudio:
    """The recordings of a manifest.

    Where lengths were counted from headers, audio that differs by more than 10 ms is damaged, and an error. Where they
    were believed, it is heard as believed: cut, or filled up with silence. What is charged and the order of the stream
    stay the same; it is counted and reported, and an error from 1 % of what was heard on.
    """

    manifest: Manifest
    heard: int = 0
    bad: int = 0

    def samples(self, index: int) -> np.ndarray:
        """Float32 samples at 16 kHz, as many as the manifest says. Raises AudioError, naming the recording."""
        clip, promised = self.manifest.audio[index], int(self.manifest.samples[index])
        self.heard += 1
        try:
            found = read_clip(clip)
            fault = _lie(clip, len(found), promised)
        except AudioError as unreadable:
            found, fault = np.zeros(0, dtype=np.float32), unreadable
        if fault is not None:
            self._refuse_or_count(fault)
        return np.pad(found, (0, max(0, promised - len(found))))[:promised]

    def _refuse_or_count(self, fault: AudioError) -> None:
        self.bad += 1
        if not self.manifest.durations_trusted or (self.heard > JUDGED_AFTER and self.bad > MAX_BAD_SHARE * self.heard):
            raise fault
        if self.bad & (self.bad - 1) == 0:  # the 1st, 2nd, 4th, 8th ...
            log(f"{self.bad} of {self.heard} recordings heard are not as the manifest says, the last: {fault}")


def _lie(clip: Clip, found: int, promised: int) -> AudioError | None:
    if abs(found - promised) <= MAX_DURATION_ERROR:
        return None
    return AudioError("wrong duration", f"{clip}: promises {promised} samples at 16 kHz, holds {found}")
