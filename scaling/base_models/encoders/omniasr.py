"""Omnilingual ASR (Omnilingual ASR team 2025): wav2vec 2.0 in four sizes, with a CTC head for 1,600 languages."""

from dataclasses import replace

from scaling.base_models.config_file import ConfigFile
from scaling.base_models.encoders import ctc
from scaling.base_models.encoders.wav2vec2 import CHANNELS, KERNELS, STRIDES, Wav2Vec2Dims, checked, row
from scaling.errors import InputError

asr_codec = ctc.asr_codec


def read_dims(config: ConfigFile) -> Wav2Vec2Dims:
    """Dimensions from a config.json, with transformers' defaults. Raises InputError on an odd kernel of positions."""
    encoder = config.section("audio_config")
    dims = Wav2Vec2Dims(
        **config.origin,
        channels=encoder.integers("conv_dim", CHANNELS),
        kernels=encoder.integers("conv_kernel", KERNELS),
        strides=encoder.integers("conv_stride", STRIDES),
        conv_bias=encoder.flag("conv_bias", True),
        layer_norms=True,
        width=encoder.integer("hidden_size", 1024),
        layers=encoder.integer("num_hidden_layers", 24),
        heads=encoder.integer("num_attention_heads", 16),
        ffn=encoder.integer("intermediate_size", 4096),
        position_kernel=encoder.integer("num_conv_pos_embeddings", 128),
        position_groups=encoder.integer("num_conv_pos_embedding_groups", 16),
        vocabulary=config.integer("vocab_size", 10_288),
        plain_positions=True,
    )
    if dims.position_kernel % 2:
        raise InputError(
            f"{config.path}: audio_config.num_conv_pos_embeddings is {dims.position_kernel}; expected an even number,"
            " with which transformers keeps every frame"
        )
    return checked(dims, config)


def _row(hub_id: str, width: int, layers: int) -> Wav2Vec2Dims:
    """A size of the ladder: 16 heads, and the characters of 1,600 languages (source of the sizes: fairseq2)."""
    large = row(hub_id, width, layers, layer_norms=True)
    return replace(large, heads=16, vocabulary=10_288, plain_positions=True)


ROWS = (
    _row("hf-audio/omniasr-ctc-300m-v2", 1024, 24),
    _row("hf-audio/omniasr-ctc-1b-v2", 1280, 48),
    _row("hf-audio/omniasr-ctc-3b-v2", 2048, 60),
    _row("hf-audio/omniasr-ctc-7b-v2", 2048, 128),
)
