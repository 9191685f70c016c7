"""Training speech at several speeds, as copies of the corpus: every copy has its real lengths and FLOPs."""

import dataclasses

import numpy as np

from scaling.spec import SAMPLE_RATE
from scaling.speech.audio import resampled
from scaling.speech.manifest import Manifest


def at_speeds(manifest: Manifest, speeds: tuple[float, ...]) -> Manifest:
    """The utterances at each of the speeds, one copy of the corpus after another: row i is utterance i modulo N.

    An epoch reads all copies. Samples are counted at the speed: audio at speed 1.1 is 1.1 times as short.
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
