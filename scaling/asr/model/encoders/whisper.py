"""The Whisper encoder-decoder at any input length, where Hugging Face's own forward accepts one length alone.

Padding never changes an utterance's output: padded encoder positions are masked as keys of every attention.

Shapes: B utterances, M mel bins, T mel frames, S encoder positions, D width, U decoder positions, V vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache, EncoderDecoderCache, WhisperForConditionalGeneration
from transformers.models.whisper.modeling_whisper import WhisperDecoder, WhisperEncoder

from scaling.asr.model import greedy
from scaling.asr.model.encoders.family import EncoderOutput, Family, hidden_states
from scaling.asr.model.key_value_cache import cache_argument, preallocated_cache
from scaling.asr.model.log_mel import LogMel
from scaling.asr.model.padding import key_mask, real_positions
from scaling.asr.model.target_loss import target_loss
from scaling.base_models.tokenizers import TextCodec

SINUSOIDS = ("embed_positions.",)
"""Parameters of the encoder that never train."""


def encoder_positions(mel_frames: Tensor) -> Tensor:
    """The number of encoder positions of so many mel frames: the second convolution halves them, rounded up."""
    return (mel_frames + 1) // 2


def encode(encoder: WhisperEncoder, mel_BMT: Tensor, frames_B: Tensor) -> EncoderOutput:
    """Hidden states (B, S, D), zero at padded positions, and the number of positions of each utterance (B,).

    `mel_BMT` is zero beyond each utterance's `frames_B`. At the encoder's own input length the output equals Hugging
    Face's to the last bit; at other lengths the first S position embeddings are used. Raises ValueError on more frames
    than the encoder has positions for.
    """
    lengths_B = encoder_positions(frames_B)
    length = int(encoder_positions(torch.tensor(mel_BMT.shape[-1])))
    if length > encoder.config.max_source_positions:
        raise ValueError(f"{length} encoder positions exceed the model's {encoder.config.max_source_positions}")
    x = functional.gelu(encoder.conv1(mel_BMT))
    # The first convolution writes into the first padded frame, which the second would read: it is set to zero again.
    x = x * (torch.arange(x.shape[-1], device=x.device) < frames_B[:, None])[:, None]
    x = functional.gelu(encoder.conv2(x)).transpose(1, 2)
    x = x + encoder.embed_positions.weight[:length]
    mask = key_mask(lengths_B, length, x.dtype)
    for layer in encoder.layers:
        x = hidden_states(layer(x, mask))
    hidden: Tensor = encoder.layer_norm(x)
    return hidden * real_positions(lengths_B, length)[..., None], lengths_B


def decoder_hidden_states(
    decoder: WhisperDecoder,
    ids_BU: Tensor,
    memory_BSD: Tensor,
    memory_lengths_B: Tensor,
    cache: EncoderDecoderCache | None = None,
) -> Tensor:
    """Hidden states (B, U, D) of the decoder on token ids, padded on the right; padded encoder output is masked.

    With a `cache`, `ids_BU` continues the tokens of the cache, one token at a time.
    """
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


def _encode(model: WhisperForConditionalGeneration, mel_BMT: Tensor, frames_B: Tensor) -> EncoderOutput:
    return encode(model.model.encoder, mel_BMT, frames_B)


class WhisperObjective:
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


WHISPER = Family(
    model=WhisperForConditionalGeneration,
    features=LogMel.from_directory,
    encoder=lambda model: model.model.encoder,
    objective=WhisperObjective(),
    never_trained=SINUSOIDS,
    encode=_encode,
)
