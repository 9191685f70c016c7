"""Audio of recordings at exactly the length that FLOPs are charged for."""

from dataclasses import dataclass

import numpy as np

from scaling.speech.audio import AudioError, Clip, read_clip
from scaling.speech.corpus_index import MAX_DURATION_ERROR
from scaling.speech.manifest import MAX_BAD_SHARE, Manifest
from scaling.system.console import log

JUDGED_AFTER = 1000
"""Recordings read before a share of bad ones ends the run: fewer say little about a share of 1 %."""


@dataclass(slots=True, kw_only=True, eq=False)
class ExactAudio:
    """The recordings of a manifest.

    Where the manifest's lengths were counted from headers, a recording that differs by more than 10 ms is damaged,
    which is an error. Where its durations were trusted, the audio is cut or filled up with silence, so that charged
    FLOPs and the order of batches stay as planned; such recordings are counted and reported, and are an error once
    they are more than 1 % of those read.
    """

    manifest: Manifest
    recordings_read: int = 0
    bad_recordings: int = 0

    def samples(self, index: int) -> np.ndarray:
        """Float32 samples at 16 kHz, as many as the manifest says. Raises AudioError, naming the recording."""
        clip, expected = self.manifest.audio[index], int(self.manifest.samples[index])
        self.recordings_read += 1
        try:
            samples_T = read_clip(clip)
            fault = _wrong_duration(clip, len(samples_T), expected)
        except AudioError as unreadable:
            samples_T, fault = np.zeros(0, dtype=np.float32), unreadable
        if fault is not None:
            self._refuse_or_count(fault)
        return np.pad(samples_T, (0, max(0, expected - len(samples_T))))[:expected]

    def _refuse_or_count(self, fault: AudioError) -> None:
        self.bad_recordings += 1
        too_many = self.recordings_read > JUDGED_AFTER and self.bad_recordings > MAX_BAD_SHARE * self.recordings_read
        if not self.manifest.durations_trusted or too_many:
            raise fault
        if self.bad_recordings.bit_count() == 1:  # the 1st, 2nd, 4th, 8th ...
            log(
                f"{self.bad_recordings} of {self.recordings_read} recordings read are not as the manifest says,"
                f" the last: {fault}"
            )


def _wrong_duration(clip: Clip, samples: int, expected: int) -> AudioError | None:
    if abs(samples - expected) <= MAX_DURATION_ERROR:
        return None
    return AudioError("wrong duration", f"{clip}: promises {expected} samples at 16 kHz, holds {samples}")
