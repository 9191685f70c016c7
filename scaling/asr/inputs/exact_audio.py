"""Audio of recordings at exactly the length that FLOPs are charged for."""

from dataclasses import dataclass, field

import numpy as np

from scaling.speech.audio import AudioError, Clip, read_clip
from scaling.speech.corpus_index import MAX_DURATION_ERROR
from scaling.speech.manifest import MAX_BAD_SHARE, Manifest
from scaling.speech.recording_faults import remember_fault
from scaling.system.console import log

JUDGED_AFTER = 1000
"""Recordings read, where durations were trusted, before a share of bad ones ends the run: fewer say little."""


@dataclass(slots=True, kw_only=True, eq=False)
class ExactAudio:
    """The recordings of a manifest.

    A recording that cannot be read, or that differs by more than 10 ms from the length that was planned, is damaged. In
    training it counts as silence or is cut, so that charged FLOPs and the order of batches stay as planned; such
    recordings are counted and reported, and are an error once they are more than 1 % of the manifest, or of those read
    where durations were trusted. In a dev or test set (not `is_training`) every one is an error. What ended a run is
    remembered: the next plan leaves it out.
    """

    manifest: Manifest
    is_training: bool
    recordings_read: int = 0
    bad_recordings: dict[int, AudioError] = field(default_factory=dict)

    def samples(self, index: int) -> np.ndarray:
        """Float32 samples at 16 kHz, as many as the manifest says. Raises AudioError, naming the recording."""
        clip, expected = self.manifest.audio[index], int(self.manifest.samples[index])
        self.recordings_read += 1
        try:
            samples_T = read_clip(clip)
            fault = _wrong_duration(clip, len(samples_T), expected)
        except AudioError as unreadable:
            samples_T, fault = np.zeros(0, dtype=np.float32), unreadable
        if fault is not None and index not in self.bad_recordings:
            self.bad_recordings[index] = fault
            self._refuse_or_count(fault)
        return np.pad(samples_T, (0, max(0, expected - len(samples_T))))[:expected]

    def _refuse_or_count(self, fault: AudioError) -> None:
        bad, recordings = len(self.bad_recordings), len(self.manifest)
        if self.manifest.durations_trusted:
            too_many = self.recordings_read > JUDGED_AFTER and bad > MAX_BAD_SHARE * min(
                self.recordings_read, recordings
            )
        else:
            too_many = bad > MAX_BAD_SHARE * recordings
        if too_many or not self.is_training:
            for index, met in self.bad_recordings.items():
                remember_fault(self.manifest.audio[index], met)
            raise fault
        if bad.bit_count() == 1:  # the 1st, 2nd, 4th, 8th ...
            log(f"{bad} of {self.recordings_read} recordings read are not as the manifest says, the last: {fault}")


def _wrong_duration(clip: Clip, samples: int, expected: int) -> AudioError | None:
    if abs(samples - expected) <= MAX_DURATION_ERROR:
        return None
    return AudioError("wrong duration", f"{clip}: promises {expected} samples at 16 kHz, holds {samples}")
