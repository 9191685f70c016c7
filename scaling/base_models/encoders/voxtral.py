"""Voxtral's audio tower (Liu et al. 2025): a Whisper encoder that was trained behind an LLM, and writes nothing itself.

What follows it in Voxtral, four frames as one and a projector, is the projector's work here.
"""

from dataclasses import dataclass, field

from scaling.base_models.config_file import ConfigFile, published
from scaling.base_models.encoders.ctc import AudioTowerDims
from scaling.base_models.encoders.log_mel import HOP_LENGTH, hop_length
from scaling.base_models.encoders.whisper import WhisperEncoderDims
from scaling.keys import OMIT_DEFAULT

SIZES = {
    "mel_bins": ("num_mel_bins", 128),
    "width": ("hidden_size", 1280),
    "layers": ("num_hidden_layers", 32),
    "heads": ("num_attention_heads", 20),
    "ffn": ("intermediate_size", 5120),
    "max_positions": ("max_source_positions", 1500),
}
"""Settings of the encoder with transformers' defaults, which the published model has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoxtralDims(AudioTowerDims, WhisperEncoderDims):
    """A Whisper encoder alone."""

    fresh_vocabulary: int = field(default=0, metadata=OMIT_DEFAULT)


def read_dims(config: ConfigFile) -> VoxtralDims:
    """Dimensions from the config.json of Voxtral, or of its tower alone."""
    tower = config.section("audio_config") if config.values.get("model_type") == "voxtral" else config
    return VoxtralDims(**config.origin, **tower.sizes(SIZES), hop_length=hop_length(config.path.parent))


ROWS = (VoxtralDims(**published("mistralai/Voxtral-Mini-3B-2507", SIZES), hop_length=HOP_LENGTH),)
