"""From an audio file to the log-mel features that a Whisper encoder reads."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from scipy.sparse import csr_array
from transformers.audio_utils import mel_filter_bank

from scaling.errors import InputError
from scaling.spec import SAMPLE_RATE
from scaling.speech.audio import Clip, read_clip


def read_audio(audio: Path | Clip) -> np.ndarray:
    """A file or a clip as float32 samples: see `read_clip`."""
    return read_clip(audio if isinstance(audio, Clip) else Clip(path=audio))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LogMel:
    """The features of one utterance: `WhisperFeatureExtractor(..., padding="longest")` on it alone, within 1e-6.

    Not to the last bit: a square root that is squared again would take half of the time, and filters that are nearly
    all zeros a quarter of the rest. Computed utterance by utterance, because the floor (8 decades below the maximum) is
    the utterance's own.
    """

    sampling_rate: int  # Hz
    hop_length: int  # samples between frames
    n_fft: int  # samples in a window
    max_samples: int  # what the encoder's positions can hold
    window_N: torch.Tensor  # Hann's
    filters: csr_array  # (mel bins, 2 x frequencies): a weight for the real and for the imaginary part's square

    @classmethod
    def from_directory(cls, directory: Path) -> Self:
        """The features that the model in this Hugging Face directory was trained on.

        Raises `InputError` where its `preprocessor_config.json` is missing, is not JSON, or wants another sampling rate
        than 16 kHz.
        """
        path = directory / "preprocessor_config.json"
        try:
            config: dict[str, Any] = json.loads(path.read_text("utf-8"))
        except OSError as missing:
            raise InputError(f"{path}: not readable; a Whisper model keeps its feature settings there") from missing
        except ValueError as broken:
            raise InputError(f"{path}: not JSON ({broken})") from broken
        sampling_rate = config.get("sampling_rate", SAMPLE_RATE)
        if sampling_rate != SAMPLE_RATE:
            raise InputError(f"{path}: sampling_rate is {sampling_rate}; expected {SAMPLE_RATE}")
        n_fft = config.get("n_fft", 400)  # the defaults are WhisperFeatureExtractor's
        return cls(
            sampling_rate=sampling_rate,
            hop_length=config.get("hop_length", 160),
            n_fft=n_fft,
            max_samples=config.get("chunk_length", 30) * sampling_rate,
            window_N=torch.hann_window(n_fft),
            filters=_mel_filters(n_fft, config.get("feature_size", 80), sampling_rate),
        )

    def frames(self, samples: int) -> int:
        """How many mel frames that many samples give."""
        return samples // self.hop_length

    def __call__(self, samples_T: np.ndarray) -> torch.Tensor:
        """Log-mel features (M mel bins, frames) of float32 samples.

        Raises `InputError` for audio too short for a frame or longer than the encoder's positions.
        """
        shortest = max(self.n_fft // 2 + 1, self.hop_length)  # half a window is reflected at either end
        if len(samples_T) < shortest or self.frames(len(samples_T)) > self.frames(self.max_samples):
            raise InputError(
                f"audio of {len(samples_T)} samples; expected at least {shortest} (one frame) "
                f"and at most {self.max_samples} ({self.max_samples / self.sampling_rate:g} s)"
            )
        half = self.n_fft // 2
        reflected_T = np.concatenate([samples_T[half:0:-1], samples_T, samples_T[-2 : -half - 2 : -1]])
        windows_TN = torch.from_numpy(reflected_T).unfold(0, self.n_fft, self.hop_length)[:-1] * self.window_N
        squares_TF = torch.view_as_real(torch.fft.rfft(windows_TN)).square_().flatten(1)  # real and imaginary in turns
        power_MT = torch.from_numpy(self.filters @ squares_TF.numpy().T)
        floor = max(1e-10, 1e-8 * float(power_MT.max()))
        return power_MT.clamp_min_(floor).log10_().add_(4).div_(4)


def _mel_filters(n_fft: int, mel_bins: int, sampling_rate: int) -> csr_array:
    """Slaney's filters up to 8 kHz, as `WhisperFeatureExtractor` makes them, for squares of complex pairs."""
    filters_FM = mel_filter_bank(
        num_frequency_bins=1 + n_fft // 2,
        num_mel_filters=mel_bins,
        min_frequency=0.0,
        max_frequency=8000.0,
        sampling_rate=sampling_rate,
        norm="slaney",
        mel_scale="slaney",
    )
    return csr_array(filters_FM.astype(np.float32).repeat(2, axis=0).T)
