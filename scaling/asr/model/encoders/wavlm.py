"""WavLM on padded batches: wav2vec 2.0 with a bias of all distances in its attention.

Shapes: B utterances, S encoder positions, D width, H heads.
"""

from dataclasses import replace
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel, WavLMForCTC
from transformers.models.wavlm.modeling_wavlm import WavLMAttention

from scaling.asr.model.encoders.family import EncoderOutput
from scaling.asr.model.encoders.wav2vec2 import WAV2VEC2, encode, modules_of


class AdaptableAttention(WavLMAttention):  # type: ignore[misc]
    """WavLM's attention by its own layers: transformers reads their weights alone, and passes adapters by."""

    def torch_multi_head_self_attention(
        self, hidden_states: Tensor, attention_mask: Tensor | None, gated_position_bias: Tensor
    ) -> tuple[Tensor, None]:
        """Hidden states (B, S, D); the mask is additive (B, 1, 1, S), the bias of all scores (B * H, S, S)."""
        batch, length, _ = hidden_states.shape
        shape = (batch, length, self.num_heads, self.head_dim)
        projections = (self.q_proj, self.k_proj, self.v_proj)
        query, key, value = (projection(hidden_states).view(shape).transpose(1, 2) for projection in projections)
        bias = gated_position_bias.view(batch, self.num_heads, length, length)
        if attention_mask is not None:
            bias = bias + attention_mask
        scores = (query * self.scaling) @ key.transpose(2, 3) + bias
        mixed = scores.softmax(-1) @ value
        return self.out_proj(mixed.transpose(1, 2).flatten(2)), None


def adaptable(model: PreTrainedModel) -> None:
    """Let the attention of a WavLM model run by its layers."""
    for module in model.modules():
        if isinstance(module, WavLMAttention):
            module.__class__ = AdaptableAttention


def _run_layers(layers: Any, x_BSD: Tensor, mask: Tensor | None) -> Tensor:
    """The layers one after another: the first makes the bias of all distances, which the others read too."""
    bias = None
    for layer in layers:
        x_BSD, bias = layer(x_BSD, attention_mask=mask, position_bias=bias)
    return x_BSD


def _encode(model: PreTrainedModel, wave_B1T: Tensor, samples_B: Tensor) -> EncoderOutput:
    return encode(replace(modules_of(model), run=_run_layers), wave_B1T, samples_B)


WAVLM = replace(WAV2VEC2, model=WavLMForCTC, prepare=adaptable, encode=_encode)
