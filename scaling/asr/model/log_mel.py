"""The log-mel features that a Whisper encoder reads, from samples."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from scipy.sparse import csr_array
from transformers.audio_utils import mel_filter_bank

from scaling.base_models.config_file import ConfigFile
from scaling.errors import InputError
from scaling.spec import SAMPLE_RATE


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LogMel:
    """The features of one utterance: `WhisperFeatureExtractor(..., padding="longest")` on it alone, within 1e-6.

    They are not equal to the last bit: to take a square root and square it again would take half of the time, and
    filters that are nearly all zeros a quarter of the rest. Each utterance is computed alone, because its values are
    clipped at 8 decades below its own maximum.

    * `hop_length`: samples between frames.
    * `n_fft`: samples in a window.
    * `max_samples`: the longest audio that the encoder's positions can hold.
    * `window_N`: Hann's window.
    * `filters`: (mel bins, 2 x frequencies), a weight for the squares of the real and of the imaginary part.
    """

    hop_length: int
    n_fft: int
    max_samples: int
    window_N: torch.Tensor
    filters: csr_array

    @classmethod
    def from_directory(cls, directory: Path) -> Self:
        """The features that the model in this Hugging Face directory was trained on.

        Raises InputError where its `preprocessor_config.json` is missing, is not JSON, or asks for another sampling
        rate than 16 kHz.
        """
        config = ConfigFile(directory / "preprocessor_config.json")
        config.expect("sampling_rate", SAMPLE_RATE, "speech is read at 16 kHz")
        n_fft = config.integer("n_fft", 400)  # the defaults are WhisperFeatureExtractor's
        return cls(
            hop_length=config.integer("hop_length", 160),
            n_fft=n_fft,
            max_samples=config.integer("chunk_length", 30) * SAMPLE_RATE,
            window_N=torch.hann_window(n_fft),
            filters=_mel_filters(n_fft, config.integer("feature_size", 80)),
        )

    def frames(self, samples: int) -> int:
        """The number of mel frames of so many samples."""
        return samples // self.hop_length

    def __call__(self, samples_T: np.ndarray) -> torch.Tensor:
        """Log-mel features (M, frames) of float32 samples. Raises InputError for audio too short or too long."""
        shortest = max(self.n_fft // 2 + 1, self.hop_length)  # half a window is mirrored at either end
        if len(samples_T) < shortest or self.frames(len(samples_T)) > self.frames(self.max_samples):
            raise InputError(
                f"audio of {len(samples_T)} samples; expected at least {shortest} (one frame) "
                f"and at most {self.max_samples} ({self.max_samples / SAMPLE_RATE:g} s)"
            )
        half = self.n_fft // 2
        mirrored_T = np.concatenate([samples_T[half:0:-1], samples_T, samples_T[-2 : -half - 2 : -1]])
        windows_TN = torch.from_numpy(mirrored_T).unfold(0, self.n_fft, self.hop_length)[:-1] * self.window_N
        squares_TF = (
            torch.view_as_real(torch.fft.rfft(windows_TN)).square_().flatten(1)
        )  # real and imaginary parts alternate
        power_MT = torch.from_numpy(self.filters @ squares_TF.numpy().T)
        floor = max(1e-10, 1e-8 * float(power_MT.max()))
        return power_MT.clamp_min_(floor).log10_().add_(4).div_(4)


def _mel_filters(n_fft: int, mel_bins: int) -> csr_array:
    """Slaney's filters up to 8 kHz, as `WhisperFeatureExtractor` makes them, each weight twice: for both squares."""
    filters_FM = mel_filter_bank(
        num_frequency_bins=1 + n_fft // 2,
        num_mel_filters=mel_bins,
        min_frequency=0.0,
        max_frequency=8000.0,
        sampling_rate=SAMPLE_RATE,
        norm="slaney",
        mel_scale="slaney",
    )
    return csr_array(filters_FM.astype(np.float32).repeat(2, axis=0).T)
