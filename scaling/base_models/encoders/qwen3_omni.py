"""The audio tower of Qwen3-Omni (Xu et al. 2025): the tower of its descendant Qwen3-ASR at another size.

Its last two layers bring its output to the width of Qwen3-Omni's LLM; they are the projector's work here. Audio of less
than a second is heard as transformers hears it beside longer audio, in a chunk that zeros fill up.
"""

from scaling.base_models.config_file import ConfigFile, published
from scaling.base_models.encoders import qwen3_asr
from scaling.base_models.encoders.log_mel import HOP_LENGTH
from scaling.base_models.encoders.qwen3_asr import WINDOW_CHUNKS, Qwen3AsrDims

SIZES = {
    **qwen3_asr.SIZES,
    "width": ("d_model", 1280),
    "layers": ("encoder_layers", 32),
    "heads": ("encoder_attention_heads", 20),
    "ffn": ("encoder_ffn_dim", 5120),
}
"""Settings of the encoder with transformers' defaults, which are those of the 30B model."""


def read_dims(config: ConfigFile) -> Qwen3AsrDims:
    """Dimensions from the config.json of Qwen3-Omni, or of its tower alone. Raises InputError as `qwen3_asr` does."""
    is_whole = config.values.get("model_type") == "qwen3_omni_moe"
    tower = config.section("thinker_config").section("audio_config") if is_whole else config
    return qwen3_asr.tower_dims(tower, SIZES)


ROWS = (
    Qwen3AsrDims(
        **published("Qwen/Qwen3-Omni-30B-A3B-Instruct", SIZES), hop_length=HOP_LENGTH, window_chunks=WINDOW_CHUNKS
    ),
)
