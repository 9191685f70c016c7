"""The audio tower of Qwen3-ASR on padded batches; no objective of its own.

Hugging Face's own forward joins the utterances of a batch; here each is a row, whose padding is masked as keys.

Shapes: B utterances, M mel bins, T mel frames, S encoder positions, D width, H heads.
"""

import sys
from dataclasses import replace
from functools import partial
from operator import attrgetter

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, Qwen3ASREncoder
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.qwen3_asr.modeling_qwen3_asr import Qwen3ASRAudioAttention, eager_attention_forward

from scaling.asr.model.encoders.family import EncoderOutput, Family, hidden_states
from scaling.asr.model.log_mel import LogMel
from scaling.asr.model.padding import key_mask, real_positions


class BatchedAttention(Qwen3ASRAudioAttention):  # type: ignore[misc]
    """Attention within windows of the positions of each utterance, on hidden states (B, S, D)."""

    def forward(self, hidden_states: Tensor, cu_seqlens: Tensor | None, max_seqlen: int) -> Tensor:
        """(B, S, D). In the places of Hugging Face's arguments: a mask of keys (B, 1, 1, S), positions of a window."""
        shape = (*hidden_states.shape[:2], self.num_heads, self.head_dim)
        projected = [proj(hidden_states).view(shape) for proj in (self.q_proj, self.k_proj, self.v_proj)]
        split = [torch.split(x.transpose(1, 2), max_seqlen, 2) for x in projected]
        masks = [None] * len(split[0]) if cu_seqlens is None else torch.split(cu_seqlens, max_seqlen, 3)
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, eager_attention_forward)
        attend = partial(attend, self, scaling=self.scaling, dropout=0.0, is_causal=False)
        mixed = [attend(*window)[0] for window in zip(*split, masks, strict=True)]
        return self.out_proj(torch.cat(mixed, 1).flatten(2))  # type: ignore[no-any-return]


def _batch_attention(model: PreTrainedModel) -> None:
    for module in model.modules():
        if isinstance(module, Qwen3ASRAudioAttention):
            module.__class__ = BatchedAttention


def encode(model: PreTrainedModel, mel_BMT: Tensor, frames_B: Tensor) -> EncoderOutput:
    """Hidden states (B, S, D), zero at padded positions, and the number of positions of each utterance (B,)."""
    chunk, (batch, bins, _) = 2 * model.n_window, mel_BMT.shape
    padded_BMT = functional.pad(mel_BMT, (0, -mel_BMT.shape[2] % chunk))
    x = padded_BMT.reshape(batch, bins, -1, chunk).transpose(1, 2).reshape(-1, 1, bins, chunk)
    for convolution in (model.conv2d1, model.conv2d2, model.conv2d3):
        x = functional.gelu(convolution(x))
    x = model.conv_out(x.permute(0, 3, 1, 2).flatten(2))
    of_chunk = x.shape[1]
    x = x + model.positional_embedding(of_chunk).to(x.dtype)
    lengths_B = frames_B // chunk * of_chunk + model._post_cnn_length(frames_B % chunk)
    length = int(lengths_B.max())
    x = x.reshape(batch, -1, x.shape[2])[:, :length]
    mask = key_mask(lengths_B, length, x.dtype)
    for layer in model.layers:
        x = hidden_states(layer(x, mask, max_seqlen=model.n_window_infer // chunk * of_chunk))
    return model.ln_post(x) * real_positions(lengths_B, length)[..., None], lengths_B


QWEN3_ASR_TOWER = Family(
    model=Qwen3ASREncoder,
    features=lambda directory: replace(LogMel.from_directory(directory), max_samples=sys.maxsize),
    encoder=lambda model: model,
    objective=None,
    prepare=_batch_attention,
    encode=encode,
)
QWEN3_ASR = replace(
    QWEN3_ASR_TOWER, config_of=attrgetter("audio_config"), checkpoint_names={r"^(model\.)?audio_tower\.": ""}
)
"""The tower of a whole Qwen3-ASR, of which nothing else is read."""
