"""The next token as an encoder's own objective, by a decoder with attention as Whisper has it.

Shapes: B utterances, S encoder positions, D width, U decoder positions, V vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache, EncoderDecoderCache, WhisperForConditionalGeneration
from transformers.models.whisper.modeling_whisper import WhisperDecoder

from scaling.asr.model import greedy
from scaling.asr.model.encoders.family import EncoderOutput, hidden_states
from scaling.asr.model.key_value_cache import cache_argument, preallocated_cache
from scaling.asr.model.padding import key_mask
from scaling.asr.model.target_loss import target_loss
from scaling.base_models.tokenizers import TextCodec


def decoder_hidden_states(
    decoder: WhisperDecoder,
    ids_BU: Tensor,
    memory_BSD: Tensor,
    memory_lengths_B: Tensor,
    cache: EncoderDecoderCache | None = None,
) -> Tensor:
    """Hidden states (B, U, D) on right-padded ids, with padded memory masked; `ids_BU` continues a `cache`."""
    past = cache.get_seq_length() if cache is not None else 0
    length = ids_BU.shape[1]
    x = decoder.embed_tokens(ids_BU) + decoder.embed_positions.weight[past : past + length]
    causal = torch.full((length, past + length), torch.finfo(x.dtype).min, dtype=x.dtype, device=x.device)
    causal = causal.triu(past + 1)[None, None]
    memory_mask = key_mask(memory_lengths_B, memory_BSD.shape[1], x.dtype)
    for layer in decoder.layers:
        x = hidden_states(
            layer(
                x,
                causal,
                memory_BSD,
                encoder_attention_mask=memory_mask,
                use_cache=cache is not None,
                **cache_argument(layer, cache),
            )
        )
    hidden: Tensor = decoder.layer_norm(x)
    return hidden


@torch.no_grad()
def greedy_decode(
    whisper: WhisperForConditionalGeneration,
    memory_BSD: Tensor,
    memory_lengths_B: Tensor,
    prefix: tuple[int, ...],
    end: int,
    max_tokens: int,
) -> list[list[int]]:
    """Greedy decoding of an encoder output: token ids without prefix and end token, one list an utterance."""
    limit = min(max_tokens, whisper.config.max_target_positions - len(prefix))
    return greedy.decode(_WhisperDecoder(whisper, memory_BSD, memory_lengths_B, prefix), [limit] * len(memory_BSD), end)


class _WhisperDecoder:
    """A `StepDecoder` on an encoder output."""

    def __init__(
        self, whisper: WhisperForConditionalGeneration, memory_BSD: Tensor, lengths_B: Tensor, prefix: tuple[int, ...]
    ) -> None:
        self._whisper, self._memory_BSD, self._lengths_B, self._prefix = whisper, memory_BSD, lengths_B, prefix
        self._cache = EncoderDecoderCache(DynamicCache(), DynamicCache())

    def start(self) -> Tensor:
        prefix = torch.tensor(self._prefix, device=self._memory_BSD.device)
        logits_BV = self._logits(prefix.expand(len(self._memory_BSD), -1))
        self._cache.self_attention_cache = preallocated_cache([self._cache.self_attention_cache])
        return logits_BV

    def step(self, ids_B: Tensor) -> Tensor:
        return self._logits(ids_B[:, None])

    def select(self, rows: Tensor) -> None:
        self._memory_BSD, self._lengths_B = self._memory_BSD[rows], self._lengths_B[rows]
        for cache in (self._cache.self_attention_cache, self._cache.cross_attention_cache):
            cache.batch_select_indices(rows)

    def _logits(self, ids_BU: Tensor) -> Tensor:
        hidden = decoder_hidden_states(
            self._whisper.model.decoder, ids_BU, self._memory_BSD, self._lengths_B, self._cache
        )
        logits_BV: Tensor = self._whisper.proj_out(hidden[:, -1])
        return logits_BV


class NextToken:
    """The next token, by the decoder."""

    fresh = ()

    def modules(self, model: WhisperForConditionalGeneration) -> dict[str, nn.Module]:
        """The decoder, and its output projection where that is not tied to the embeddings."""
        return {"": model.model.decoder, "proj_out.": model.proj_out}

    def loss(
        self,
        model: WhisperForConditionalGeneration,
        codec: TextCodec,
        encoded: EncoderOutput,
        targets: Sequence[Tensor],
    ) -> tuple[Tensor, int]:
        """Cross-entropy summed over the batch, and the number of target tokens."""
        memory_BSD, lengths_B = encoded
        prefix = torch.tensor(codec.prefix, device=memory_BSD.device)
        inputs = pad_sequence([torch.cat([prefix, target[:-1]]) for target in targets], batch_first=True)
        hidden = decoder_hidden_states(model.model.decoder, inputs, memory_BSD, lengths_B)
        return target_loss(hidden, [len(prefix) - 1] * len(targets), targets, model.proj_out)

    def decode(
        self, model: WhisperForConditionalGeneration, codec: TextCodec, encoded: EncoderOutput, max_tokens: int
    ) -> list[list[int]]:
        """Greedy decoding: token ids of each utterance without prefix and end token."""
        assert codec.end is not None
        return greedy_decode(model, *encoded, codec.prefix, codec.end, max_tokens)
