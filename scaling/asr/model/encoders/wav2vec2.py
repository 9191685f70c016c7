"""wav2vec 2.0 and HuBERT on padded batches, and what their kin WavLM and Omnilingual ASR share with them.

An utterance is encoded as it would be alone, which is how Hugging Face's models encode it in a batch of one: the norm
over time that some models begin with leaves padding out, and padded positions are zero before the positional
convolution and masked as keys of every attention.

Shapes: B utterances, T samples, S encoder positions, D width, C channels.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import HubertForCTC, PreTrainedModel, Wav2Vec2ForCTC

from scaling.asr.model.encoders.ctc import Ctc
from scaling.asr.model.encoders.family import EncoderOutput, Family, hidden_states
from scaling.asr.model.padding import key_mask, real_positions
from scaling.base_models.config_file import ConfigFile
from scaling.base_models.encoders import encoder_dims
from scaling.base_models.encoders.wav2vec2 import Wav2Vec2Dims
from scaling.errors import InputError
from scaling.spec import SAMPLE_RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Waveform:
    """The samples of one utterance as features, one a frame: `Wav2Vec2FeatureExtractor` on it alone.

    `normalized`: whether samples are scaled to mean 0 and variance 1. `shortest`: samples that one encoder position
    reads.
    """

    normalized: bool
    shortest: int

    @classmethod
    def from_directory(cls, directory: Path) -> Self:
        """The features that the model in this Hugging Face directory was trained on.

        Raises InputError where its preprocessor_config.json is missing, is not JSON, or asks for another sampling rate
        than 16 kHz.
        """
        config = ConfigFile(directory / "preprocessor_config.json")
        config.expect("sampling_rate", SAMPLE_RATE, "speech is read at 16 kHz")
        return cls(normalized=bool(config.values.get("do_normalize", True)), shortest=_frame_samples(directory))

    def __call__(self, samples_T: np.ndarray) -> Tensor:
        """Features (1, T); raises InputError for audio too short for one encoder position."""
        if len(samples_T) < self.shortest:
            raise InputError(f"audio of {len(samples_T)} samples; expected at least {self.shortest} (one frame)")
        wave_T = torch.from_numpy(samples_T)
        if self.normalized:
            wave_T = (wave_T - wave_T.mean()) / (wave_T.var(correction=0) + 1e-7).sqrt()  # its extractor's constant
        return wave_T[None]


def run_layers(layers: Any, x_BSD: Tensor, mask: Tensor | None) -> Tensor:
    """The layers one after another; the mask of keys is additive (B, 1, 1, S)."""
    for layer in layers:
        x_BSD = hidden_states(layer(x_BSD, attention_mask=mask))
    return x_BSD


@dataclass(frozen=True, slots=True)
class Modules:
    """An encoder's modules by what they do. `norm_last`: `norm` follows the layers, else it precedes them."""

    front_end: Any
    features_norm: nn.Module
    projection: nn.Module
    positions: Any
    layers: Any
    norm: nn.Module
    norm_last: bool
    run: Callable[[Any, Tensor, Tensor | None], Tensor] = run_layers


def modules_of(model: PreTrainedModel) -> Modules:
    """The modules of wav2vec 2.0, HuBERT and WavLM."""
    base: Any = model.base_model
    inner, projection = base.encoder, base.feature_projection
    features = (base.feature_extractor, projection.layer_norm, projection.projection)
    return Modules(*features, inner.pos_conv_embed, inner.layers, inner.layer_norm, model.config.do_stable_layer_norm)


def encode(modules: Modules, wave_B1T: Tensor, samples_B: Tensor) -> EncoderOutput:
    """Hidden states (B, S, D), zero at padded positions, and the number of positions of each utterance (B,)."""
    x_BCS, lengths_B = _front_end(modules.front_end, wave_B1T, samples_B)
    length, dtype = x_BCS.shape[2], x_BCS.dtype
    x = modules.projection(modules.features_norm(x_BCS.transpose(1, 2)))
    real = real_positions(lengths_B, length)[..., None]
    x = x * real
    x = x + _position_embeddings(modules.positions, x)
    if not modules.norm_last:
        x = modules.norm(x)
    x = modules.run(modules.layers, x, key_mask(lengths_B, length, dtype))
    if modules.norm_last:
        x = modules.norm(x)
    return x * real, lengths_B


def _front_end(extractor: Any, wave_B1T: Tensor, samples_B: Tensor) -> EncoderOutput:
    """The convolutions (B, C, S), which never train and pad nothing: no position reads a padded sample."""
    x_BCS, lengths_B = wave_B1T, samples_B
    with torch.no_grad():
        for layer in extractor.conv_layers:
            x_BCS = layer.conv(x_BCS)
            lengths_B = (lengths_B - layer.conv.kernel_size[0]) // layer.conv.stride[0] + 1
            norm = getattr(layer, "layer_norm", None)
            if isinstance(norm, nn.GroupNorm):
                x_BCS = _norm_over_time(norm, x_BCS, lengths_B)
            elif norm is not None:
                x_BCS = norm(x_BCS.transpose(1, 2)).transpose(1, 2)
            x_BCS = layer.activation(x_BCS)
    return x_BCS, lengths_B


def _norm_over_time(norm: nn.GroupNorm, x_BCS: Tensor, lengths_B: Tensor) -> Tensor:
    """Each channel (a group of its own) normalised over the real positions of each utterance."""
    real = real_positions(lengths_B, x_BCS.shape[2])[:, None]
    if bool(real.all()):
        normalized: Tensor = norm(x_BCS)
        return normalized
    count = lengths_B[:, None, None]
    mean = (x_BCS * real).sum(2, keepdim=True) / count
    variance = (((x_BCS - mean) * real) ** 2).sum(2, keepdim=True) / count
    scale = norm.weight[:, None] * (variance + norm.eps).rsqrt()
    return (x_BCS - mean) * scale + norm.bias[:, None]


def _position_embeddings(embedding: Any, x_BSD: Tensor) -> Tensor:
    """The positional convolution; with an even kernel, it reads one position more behind than ahead."""
    conv = embedding.conv
    kernel = conv.kernel_size[0]
    padded = functional.pad(x_BSD.transpose(1, 2), (kernel // 2, (kernel - 1) // 2))
    embeddings: Tensor = embedding.activation(functional.conv1d(padded, conv.weight, conv.bias, groups=conv.groups))
    return embeddings.transpose(1, 2)


def _frame_samples(directory: Path) -> int:
    """Samples that one encoder position reads."""
    dims, samples = encoder_dims(directory / "config.json"), 1
    assert isinstance(dims, Wav2Vec2Dims)
    for kernel, stride in zip(reversed(dims.kernels), reversed(dims.strides), strict=True):
        samples = (samples - 1) * stride + kernel
    return samples


WAV2VEC2 = Family(
    model=Wav2Vec2ForCTC,
    features=Waveform.from_directory,
    encoder=lambda model: model.base_model,
    never_trained=("feature_extractor.",),
    encode=lambda model, wave_B1T, samples_B: encode(modules_of(model), wave_B1T, samples_B),
    objective=Ctc.of(),
)
HUBERT = replace(WAV2VEC2, model=HubertForCTC)
