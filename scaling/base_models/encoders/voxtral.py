"""Voxtral's audio tower (Liu et al. 2025): a Whisper encoder that was trained behind an LLM, and writes nothing itself.

What follows it in Voxtral, four frames as one and a projector, is the projector's work here.
"""

from dataclasses import dataclass, field

from scaling.base_models.config_file import ConfigFile
from scaling.base_models.encoders.ctc import AudioTowerDims
from scaling.base_models.encoders.log_mel import HOP_LENGTH, hop_length
from scaling.base_models.encoders.whisper import WhisperEncoderDims
from scaling.keys import OMIT_DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class VoxtralDims(AudioTowerDims, WhisperEncoderDims):
    """A Whisper encoder alone."""

    fresh_vocabulary: int = field(default=0, metadata=OMIT_DEFAULT)


def read_dims(config: ConfigFile) -> VoxtralDims:
    """Dimensions from the config.json of Voxtral, or of its tower alone; defaults are those of transformers."""
    tower = config.section("audio_config") if config.values.get("model_type") == "voxtral" else config
    return VoxtralDims(
        name=config.path.parent.name,
        source=str(config.path),
        mel_bins=tower.integer("num_mel_bins", 128),
        hop_length=hop_length(config.path.parent),
        width=tower.integer("hidden_size", 1280),
        layers=tower.integer("num_hidden_layers", 32),
        heads=tower.integer("num_attention_heads", 20),
        ffn=tower.integer("intermediate_size", 5120),
        max_positions=tower.integer("max_source_positions", 1500),
    )


ROWS = (
    VoxtralDims(
        name="Voxtral-Mini-3B-2507",
        source="https://huggingface.co/mistralai/Voxtral-Mini-3B-2507/blob/main/config.json",
        mel_bins=128,
        hop_length=HOP_LENGTH,
        width=1280,
        layers=32,
        heads=20,
        ffn=5120,
        max_positions=1500,
    ),
)
