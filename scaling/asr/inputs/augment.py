"""Augmentation that differs in every epoch: noise and masks as functions of seed, epoch and utterance.

So a resumed run reads the same inputs as an uninterrupted one. Neither noise nor masks change a length, so that FLOPs
are charged as without them. Speeds, which change lengths, belong to `Manifest.at_speeds`.
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from scaling.spec import Augmentation

MASKED_BINS = 27 / 80
MASKED_FRAMES = 100
"""The widest masks are those of SpecAugment's policy LD (arXiv:1904.08779): 27 of 80 mel bins, 100 frames ..."""
MASKED_SHARE = 0.2
"""... and at most this share of an utterance: the paper bounds masks by such a share too (the value: assumption)."""


@dataclass(frozen=True, slots=True)
class Augmenter:
    """Changes the utterances of one run."""

    augmentation: Augmentation
    seed: int

    def audio(self, samples_T: np.ndarray, epoch: int, index: int) -> np.ndarray:
        """Samples (T,) with white noise; the ratio of mean powers is drawn in dB between the augmentation's bounds."""
        if self.augmentation.noise_snr_db is None:
            return samples_T
        rng = np.random.default_rng([self.seed, epoch, index, 0])
        snr = rng.uniform(*self.augmentation.noise_snr_db)
        power = float(np.mean(samples_T.astype(np.float64) ** 2))
        noise = rng.standard_normal(len(samples_T)) * np.sqrt(power / 10 ** (snr / 10))
        return np.asarray(samples_T + noise, dtype=np.float32)

    def features(self, mel_MT: Tensor, epoch: int, index: int) -> Tensor:
        """A copy of the features (M, T) in which bands and stretches of time are set to the utterance's mean."""
        if not self.augmentation.masks:
            return mel_MT
        rng = np.random.default_rng([self.seed, epoch, index, 1])
        bins, frames = mel_MT.shape
        longest = min(MASKED_FRAMES, int(MASKED_SHARE * frames))
        masked, mean = mel_MT.clone(), mel_MT.mean()
        for _ in range(self.augmentation.masks):
            masked[_stretch(rng, bins, round(MASKED_BINS * bins)), :] = mean
            masked[:, _stretch(rng, frames, longest)] = mean
        return masked


def _stretch(rng: np.random.Generator, length: int, widest: int) -> slice:
    width = int(rng.integers(0, widest + 1))
    first = int(rng.integers(0, length - width + 1))
    return slice(first, first + width)
