"""Training speech at several speeds: as copies of the corpus, so that each has its real length and price."""

import dataclasses

import numpy as np

from scaling.spec import SAMPLE_RATE
from scaling.speech.audio import resampled
from scaling.speech.manifest import Manifest


def at_speeds(manifest: Manifest, speeds: tuple[float, ...]) -> Manifest:
    """The utterances at each of the speeds, one copy of the corpus after another: row i is utterance i modulo N.

    An epoch is all copies. Samples are those that are heard: 1.1 times as fast is 1.1 times as short.
    """
    if speeds == (1.0,):
        return manifest
    rows = np.tile(np.arange(len(manifest)), len(speeds))
    samples = [
        [resampled(count, round(SAMPLE_RATE * speed)) for count in manifest.samples.tolist()] for speed in speeds
    ]
    return dataclasses.replace(
        manifest,
        columns=manifest.columns.take(rows),
        samples=np.concatenate(samples),
        hashes=manifest.hashes[rows],
        speeds=np.repeat(speeds, len(manifest)),
        copies=len(speeds),
    )
