"""Small encoders of every family, as Hugging Face builds them, and what Hugging Face computes of them.

Where an encoder's own forward asks for another input than the shortest, its parts are called one by one.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    HubertConfig,
    HubertForCTC,
    OmniASRCTCConfig,
    OmniASRForCTC,
    ParakeetCTCConfig,
    ParakeetForCTC,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen3ASREncoder,
    Qwen3ASREncoderConfig,
    VoxtralEncoder,
    VoxtralEncoderConfig,
    Wav2Vec2BertConfig,
    Wav2Vec2BertForCTC,
    Wav2Vec2Config,
    Wav2Vec2ForCTC,
    WavLMConfig,
    WavLMForCTC,
    WhisperConfig,
    WhisperForConditionalGeneration,
)
from transformers.models.qwen3_asr.modeling_qwen3_asr import _get_feat_extract_output_lengths

from scaling.base_models.encoders import EncoderDims
from scaling.base_models.encoders.parakeet import ParakeetDims
from scaling.base_models.encoders.qwen3_asr import Qwen3AsrDims
from scaling.base_models.encoders.voxtral import VoxtralDims
from scaling.base_models.encoders.wav2vec2 import Wav2Vec2Dims
from scaling.base_models.encoders.wav2vec2_bert import Wav2Vec2BertDims
from scaling.base_models.encoders.whisper import WhisperDims, WhisperEncoderDims

MINI_ENCODER = WhisperDims(
    name="mini", source="test", mel_bins=20, hop_length=320, width=24, layers=3, heads=4, ffn=40, decoder_layers=2,
    decoder_heads=4, decoder_ffn=56, vocabulary=37, max_positions=200, max_decoder_positions=64,
)  # fmt: skip
MINI_WAV2VEC2 = Wav2Vec2Dims(
    name="mini-wav2vec2", source="test", channels=(12, 12, 16), kernels=(10, 8, 8), strides=(5, 8, 8), conv_bias=False,
    layer_norms=False, width=24, layers=3, heads=4, ffn=40, position_kernel=8, position_groups=4, vocabulary=37,
)  # fmt: skip
MINI_HUBERT = replace(MINI_WAV2VEC2, name="mini-hubert", conv_bias=True, layer_norms=True, position_kernel=7)
MINI_WAVLM = replace(MINI_WAV2VEC2, name="mini-wavlm", relative_buckets=20)
MINI_STABLE_WAVLM = replace(MINI_WAVLM, name="mini-wavlm-stable", layer_norms=True)
MINI_OMNIASR = replace(MINI_WAV2VEC2, name="mini-omniasr", conv_bias=True, layer_norms=True, plain_positions=True)
MINI_PARAKEET = ParakeetDims(
    name="mini-parakeet", source="test", mel_bins=16, hop_length=160, strides=3, channels=6, subsampling_kernel=3,
    width=24, layers=3, heads=4, ffn=40, kernel=5, vocabulary=37, attention_bias=True, convolution_bias=True,
)  # fmt: skip
MINI_PLAIN_PARAKEET = replace(
    MINI_PARAKEET, name="mini-parakeet-plain", strides=2, subsampling_kernel=5, attention_bias=False,
    convolution_bias=False,
)  # fmt: skip
MINI_W2V_BERT = Wav2Vec2BertDims(
    name="mini-w2v-bert", source="test", stack=2, width=24, layers=3, heads=4, ffn=40, kernel=5, distances=8,
    vocabulary=37,
)  # fmt: skip
MINI_VOXTRAL = VoxtralDims(
    name="mini-voxtral", source="test", mel_bins=20, hop_length=160, width=24, layers=3, heads=4, ffn=40,
    max_positions=300, fresh_vocabulary=37,
)  # fmt: skip
MINI_QWEN3_ASR = Qwen3AsrDims(
    name="mini-qwen3-asr", source="test", mel_bins=16, hop_length=160, channels=6, width=24, layers=3, heads=4, ffn=40,
    window_chunks=2, fresh_vocabulary=37,
)  # fmt: skip
MINI_ENCODERS = (
    MINI_ENCODER,
    MINI_WAV2VEC2,
    MINI_HUBERT,
    MINI_WAVLM,
    MINI_STABLE_WAVLM,
    MINI_OMNIASR,
    MINI_PARAKEET,
    MINI_PLAIN_PARAKEET,
    MINI_W2V_BERT,
    MINI_VOXTRAL,
    MINI_QWEN3_ASR,
)

NOT_RANDOM = {
    "mask_time_prob": 0.0, "mask_feature_prob": 0.0, "hidden_dropout": 0.0, "activation_dropout": 0.0,
    "attention_dropout": 0.0, "layerdrop": 0.0, "attn_implementation": "eager",
}  # fmt: skip


def whisper_config(dims: WhisperDims) -> WhisperConfig:
    return WhisperConfig(
        vocab_size=dims.vocabulary,
        num_mel_bins=dims.mel_bins,
        d_model=dims.width,
        encoder_layers=dims.layers,
        encoder_attention_heads=dims.heads,
        encoder_ffn_dim=dims.ffn,
        decoder_layers=dims.decoder_layers,
        decoder_attention_heads=dims.decoder_heads,
        decoder_ffn_dim=dims.decoder_ffn,
        max_source_positions=dims.max_positions,
        max_target_positions=dims.max_decoder_positions,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
        suppress_tokens=None,
        begin_suppress_tokens=None,
        attn_implementation="eager",
    )


def wav2vec2_config(dims: Wav2Vec2Dims) -> PreTrainedConfig:
    """Of the kin of wav2vec 2.0 that the dimensions, or the name, belong to."""
    sizes = {
        "hidden_size": dims.width,
        "num_hidden_layers": dims.layers,
        "num_attention_heads": dims.heads,
        "intermediate_size": dims.ffn,
        "conv_dim": dims.channels,
        "conv_kernel": dims.kernels,
        "conv_stride": dims.strides,
        "conv_bias": dims.conv_bias,
        "num_conv_pos_embeddings": dims.position_kernel,
        "num_conv_pos_embedding_groups": dims.position_groups,
    }
    if dims.plain_positions:
        random = {name: value for name, value in NOT_RANDOM.items() if "mask" not in name}
        return OmniASRCTCConfig(
            vocab_size=dims.vocabulary, audio_config=sizes | random | {"model_type": "omniasr_audio"}
        )
    norms = {
        "feat_extract_norm": "layer" if dims.layer_norms else "group",
        "do_stable_layer_norm": dims.layer_norms if dims.norm_last is None else not dims.norm_last,
    }
    if dims.relative_buckets:
        return WavLMConfig(
            vocab_size=dims.vocabulary, num_buckets=dims.relative_buckets, max_bucket_distance=30, **sizes, **norms,
            **NOT_RANDOM,
        )  # fmt: skip
    kind = HubertConfig if "hubert" in dims.name else Wav2Vec2Config
    return kind(vocab_size=dims.vocabulary, **sizes, **norms, **NOT_RANDOM)


def parakeet_config(dims: ParakeetDims) -> ParakeetCTCConfig:
    encoder = {
        "model_type": "parakeet_encoder",
        "hidden_size": dims.width,
        "num_hidden_layers": dims.layers,
        "num_attention_heads": dims.heads,
        "intermediate_size": dims.ffn,
        "attention_bias": dims.attention_bias,
        "convolution_bias": dims.convolution_bias,
        "conv_kernel_size": dims.kernel,
        "subsampling_factor": 2**dims.strides,
        "subsampling_conv_channels": dims.channels,
        "subsampling_conv_kernel_size": dims.subsampling_kernel,
        "num_mel_bins": dims.mel_bins,
        "layerdrop": 0.0,
        "dropout": 0.0,
        "activation_dropout": 0.0,
        "attention_dropout": 0.0,
    }
    blank = dims.vocabulary - 1
    return ParakeetCTCConfig(
        vocab_size=dims.vocabulary, pad_token_id=blank, encoder_config=encoder, attn_implementation="eager"
    )


def wav2vec2_bert_config(dims: Wav2Vec2BertDims) -> Wav2Vec2BertConfig:
    return Wav2Vec2BertConfig(
        vocab_size=dims.vocabulary,
        hidden_size=dims.width,
        num_hidden_layers=dims.layers,
        num_attention_heads=dims.heads,
        intermediate_size=dims.ffn,
        feature_projection_input_dim=dims.input_features,
        left_max_position_embeddings=dims.distances - 3,
        right_max_position_embeddings=2,
        conv_depthwise_kernel_size=dims.kernel,
        conformer_conv_dropout=0.0,
        **NOT_RANDOM,
    )


def voxtral_config(dims: VoxtralDims) -> VoxtralEncoderConfig:
    return VoxtralEncoderConfig(
        num_mel_bins=dims.mel_bins,
        hidden_size=dims.width,
        num_hidden_layers=dims.layers,
        num_attention_heads=dims.heads,
        intermediate_size=dims.ffn,
        max_source_positions=dims.max_positions,
        attn_implementation="eager",
    )


def qwen3_asr_config(dims: Qwen3AsrDims) -> Qwen3ASREncoderConfig:
    return Qwen3ASREncoderConfig(
        num_mel_bins=dims.mel_bins,
        d_model=dims.width,
        encoder_layers=dims.layers,
        encoder_attention_heads=dims.heads,
        encoder_ffn_dim=dims.ffn,
        downsample_hidden_size=dims.channels,
        n_window_infer=100 * dims.window_chunks,
        attn_implementation="eager",
    )


def encoder_config(dims: EncoderDims) -> PreTrainedConfig:
    if isinstance(dims, VoxtralDims):
        return voxtral_config(dims)
    if isinstance(dims, Qwen3AsrDims):
        return qwen3_asr_config(dims)
    if isinstance(dims, WhisperDims):
        return whisper_config(dims)
    if isinstance(dims, ParakeetDims):
        return parakeet_config(dims)
    return wav2vec2_bert_config(dims) if isinstance(dims, Wav2Vec2BertDims) else wav2vec2_config(dims)


CLASSES = {
    WhisperConfig: WhisperForConditionalGeneration,
    Wav2Vec2Config: Wav2Vec2ForCTC,
    HubertConfig: HubertForCTC,
    WavLMConfig: WavLMForCTC,
    OmniASRCTCConfig: OmniASRForCTC,
    ParakeetCTCConfig: ParakeetForCTC,
    Wav2Vec2BertConfig: Wav2Vec2BertForCTC,
    VoxtralEncoderConfig: VoxtralEncoder,
    Qwen3ASREncoderConfig: Qwen3ASREncoder,
}


def asr_module(dims: EncoderDims, device: str) -> PreTrainedModel:
    config = encoder_config(dims)
    with torch.device(device):
        return CLASSES[type(config)]._from_config(config, attn_implementation="eager")


def encoder_of(model: PreTrainedModel) -> nn.Module:
    paths = {
        "whisper": "model.encoder", "omniasr_ctc": "model.audio_tower", "parakeet_ctc": "encoder",
        "voxtral_encoder": "", "qwen3_asr_encoder": "",
    }  # fmt: skip
    return model.get_submodule(paths.get(model.config.model_type, model.base_model_prefix))


def fresh_head(dims: EncoderDims) -> nn.Linear | None:
    """What a study adds to an encoder without an objective of its own."""
    vocabulary = getattr(dims, "fresh_vocabulary", 0)
    return nn.Linear(dims.width, vocabulary) if vocabulary else None


def decoder_of(model: PreTrainedModel) -> nn.Module:
    paths = {"whisper": "model.decoder", "omniasr_ctc": "ctc_head", "parakeet_ctc": "ctc_head"}
    return model.get_submodule(paths.get(model.config.model_type, "lm_head"))


def freeze_what_never_trains(model: PreTrainedModel) -> None:
    if hasattr(model, "freeze_feature_encoder"):
        model.freeze_feature_encoder()
    for name, module in encoder_of(model).named_modules():
        if name in ("embed_positions", "subsampling.conv_layers"):
            module.requires_grad_(False)


def encoded(dims: EncoderDims, model: PreTrainedModel, features_BMT: Tensor) -> Tensor:
    """The hidden states (B, S, D) of a batch in which nothing is padding."""
    encoder = encoder_of(model)
    if isinstance(dims, WhisperEncoderDims):
        return _whisper(encoder, features_BMT)
    if isinstance(dims, Qwen3AsrDims):
        return _chunked(encoder, features_BMT)
    if isinstance(dims, ParakeetDims | Wav2Vec2BertDims):
        return encoder(features_BMT.transpose(1, 2)).last_hidden_state
    return _wave(encoder, model.config.model_type, features_BMT)


def frames_of(dims: EncoderDims, model: PreTrainedModel, samples: int) -> int:
    """Encoder positions of so many samples, as transformers counts them from input frames."""
    frames = int(dims.input_frames(samples))
    if isinstance(dims, WhisperDims):
        return int(model.model.encoder._get_feat_extract_output_lengths(frames))
    if isinstance(dims, VoxtralDims):
        return int(model._get_feat_extract_output_lengths(frames)[0])
    if isinstance(dims, Qwen3AsrDims):
        return int(_get_feat_extract_output_lengths(frames))
    if isinstance(dims, Wav2Vec2BertDims):
        return frames
    if isinstance(dims, ParakeetDims) or dims.plain_positions:
        return int(model._get_subsampling_output_length(torch.tensor(frames)))
    return int(model._get_feat_extract_output_lengths(frames))


def _whisper(encoder: Any, mel: Tensor) -> Tensor:
    x = functional.gelu(encoder.conv2(functional.gelu(encoder.conv1(mel)))).transpose(1, 2)
    x = x + encoder.embed_positions.weight[: x.shape[1]]
    for layer in encoder.layers:
        x = hidden(layer(x, None))
    return encoder.layer_norm(x)


def _chunked(encoder: Any, mel: Tensor) -> Tensor:
    padded = functional.pad(mel, (0, -mel.shape[2] % 100))
    real = (torch.arange(padded.shape[2]) < mel.shape[2]).expand(len(mel), -1)
    return encoder(padded, real).last_hidden_state.unflatten(0, (len(mel), -1))


def _wave(encoder: Any, kind: str, wave: Tensor) -> Tensor:
    inner: Any
    if kind == "omniasr_ctc":
        x, inner, positions = encoder.subsampling(wave), encoder, encoder.encode_positions
    else:
        projected = encoder.feature_projection(encoder.feature_extractor(wave[:, 0]).transpose(1, 2))
        x, inner = hidden(projected), encoder.encoder
        positions = inner.pos_conv_embed
    conv = positions.conv
    # The module pads both sides alike and throws a position away where its kernel is even; the position is not computed
    # here, as it has no reader.
    kernel = conv.kernel_size[0]
    padded = functional.pad(x.transpose(1, 2), (kernel // 2, (kernel - 1) // 2))
    x = x + functional.conv1d(padded, conv.weight, conv.bias, groups=conv.groups).transpose(1, 2)
    bias = None
    for layer in inner.layers:
        output = layer(x, position_bias=bias) if kind == "wavlm" else layer(x)
        x, bias = output if kind == "wavlm" else (hidden(output), None)
    return inner.layer_norm(x)


def hidden(output: Tensor | tuple[Tensor, ...]) -> Tensor:
    return output[0] if isinstance(output, tuple) else output
