"""Features of one utterance by the extractor that Hugging Face ships with a model.

Whisper's, which most studies use, has a faster twin in `scaling.asr.model.log_mel`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from transformers import AutoFeatureExtractor

from scaling.base_models.encoders import encoder_dims
from scaling.errors import InputError
from scaling.spec import SAMPLE_RATE

SHORTEST = 2
"""Frames without which a feature has no spread to be scaled by."""


@dataclass(frozen=True, slots=True)
class FilterBank:
    """The frames of one utterance that the extractor calls real; at least `SHORTEST` of them."""

    extractor: Callable[..., Any]
    input_frames: Callable[[np.ndarray], np.ndarray]

    @classmethod
    def from_directory(cls, directory: Path) -> "FilterBank":
        """The features that the model in this Hugging Face directory was trained on.

        Raises InputError where its extractor is missing, cannot be read, or is made for another rate than 16 kHz or
        other frames than the encoder's.
        """
        try:
            extractor = AutoFeatureExtractor.from_pretrained(directory, local_files_only=True)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(f"{directory}: a feature extractor that cannot be read ({str(error)[:200]})") from error
        dims = encoder_dims(directory / "config.json")
        features = extractor.feature_size * getattr(extractor, "stride", 1)
        if (extractor.sampling_rate, features) != (SAMPLE_RATE, dims.input_features):
            raise InputError(
                f"{directory}: the feature extractor gives {features} features at {extractor.sampling_rate} Hz;"
                f" expected {dims.input_features} at {SAMPLE_RATE}, as the encoder reads"
            )
        return cls(extractor, dims.input_frames)

    def __call__(self, samples_T: np.ndarray) -> Tensor:
        """Features (M, T); raises InputError for audio of fewer than two frames, whose spread cannot be normalised."""
        if self.input_frames(np.array([len(samples_T)]))[0] < SHORTEST:
            raise InputError(f"audio of {len(samples_T)} samples; expected at least {SHORTEST} frames of features")
        features = self.extractor(samples_T, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        features_TM: Tensor = features["input_features"][0][features["attention_mask"][0].bool()]
        return features_TM.T.contiguous()
