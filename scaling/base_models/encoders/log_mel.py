"""Log-mel frames, as encoders read them that were trained on spectrograms of one bin a feature."""

from pathlib import Path

from scaling.arrays import IntArray
from scaling.base_models.config_file import ConfigFile

HOP_LENGTH = 160
"""Samples between two mel frames of every published model: 10 ms (source: their preprocessor_config.json)."""


class LogMelFrames:
    """What its input decides of an encoder's dimensions: `mel_bins` features, a frame each `hop_length` samples."""

    __slots__ = ()

    mel_bins: int
    hop_length: int

    @property
    def input_features(self) -> int:
        """Features of an input frame: the mel bins."""
        return self.mel_bins

    def input_frames(self, samples: IntArray) -> IntArray:
        """The mel frames of utterances of so many samples, which the encoder reads."""
        return samples // self.hop_length


def hop_length(directory: Path) -> int:
    """Samples between two mel frames of the model in a directory: 10 ms where its feature extractor's file has none."""
    for name in ("preprocessor_config.json", "processor_config.json"):
        if (directory / name).is_file():
            config = ConfigFile(directory / name)
            extractor = config.values.get("feature_extractor", config.values)
            if isinstance(extractor, dict) and "hop_length" in extractor:
                return int(extractor["hop_length"])
    return HOP_LENGTH
