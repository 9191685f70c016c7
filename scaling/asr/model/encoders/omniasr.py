"""Omnilingual ASR on padded batches: wav2vec 2.0 by other names."""

from dataclasses import replace
from typing import Any

from torch import Tensor
from transformers import OmniASRForCTC, PreTrainedModel

from scaling.asr.model.encoders.ctc import Ctc
from scaling.asr.model.encoders.family import EncoderOutput
from scaling.asr.model.encoders.wav2vec2 import WAV2VEC2, Modules, encode


def _encode(model: PreTrainedModel, wave_B1T: Tensor, samples_B: Tensor) -> EncoderOutput:
    base: Any = OMNIASR.encoder(model)
    front = base.subsampling
    features = (front, front.layer_norm, front.projection)
    modules = Modules(*features, base.encode_positions, base.layers, base.layer_norm, norm_last=True)
    return encode(modules, wave_B1T, samples_B)


OMNIASR = replace(
    WAV2VEC2,
    model=OmniASRForCTC,
    encoder=lambda model: model.model.audio_tower,
    never_trained=("subsampling.conv_layers.",),
    objective=Ctc.of("ctc_head", "blank_token_id"),
    encode=_encode,
)
