"""The audio tower of Qwen3-Omni, loaded and run as that of Qwen3-ASR; the two layers of its projector are not read."""

from dataclasses import replace
from operator import attrgetter

from transformers import PreTrainedConfig, Qwen3ASREncoderConfig

from scaling.asr.model.encoders.qwen3_asr import QWEN3_ASR_TOWER

SHARED = (
    "num_mel_bins", "encoder_layers", "encoder_attention_heads", "encoder_ffn_dim", "d_model", "activation_function",
    "scale_embedding", "n_window", "n_window_infer", "downsample_hidden_size",
)  # fmt: skip
"""Settings that both towers have; what else Qwen3-Omni's has is of its projector, or of memory."""


def _as_qwen3_asr(config: PreTrainedConfig) -> PreTrainedConfig:
    return Qwen3ASREncoderConfig(**{name: getattr(config, name) for name in SHARED})


QWEN3_OMNI_TOWER = replace(QWEN3_ASR_TOWER, config_of=_as_qwen3_asr)
QWEN3_OMNI = replace(
    QWEN3_OMNI_TOWER,
    config_of=lambda config: _as_qwen3_asr(attrgetter("thinker_config.audio_config")(config)),
    checkpoint_names={r"^(thinker\.)?audio_tower\.": ""},
)
"""The tower of a whole Qwen3-Omni, of which nothing else is read."""
