"""The Whisper encoder-decoder at any input length: what Hugging Face's own forward refuses or leaves unmasked.

Shapes: B utterances, M mel bins, T mel frames, S encoder positions, D width, U decoder positions, V vocabulary.
Padding never changes an utterance's result: padded encoder positions are masked as keys of every attention.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache, EncoderDecoderCache, WhisperForConditionalGeneration
from transformers.models.whisper.modeling_whisper import WhisperDecoder, WhisperEncoder


def encoder_positions(mel_frames: Tensor) -> Tensor:
    """Encoder positions of so many mel frames: the second convolution halves them, rounding up."""
    return (mel_frames + 1) // 2


def encode(encoder: WhisperEncoder, mel_BMT: Tensor, frames_B: Tensor) -> tuple[Tensor, Tensor]:
    """Hidden states (B, S, D), zero at padding, and the real number of positions of each utterance (B,).

    `mel_BMT` is zero beyond each utterance's `frames_B`. Equal to the Hugging Face encoder at its own input length,
    to the last bit; at other lengths it uses the first S of its positions. Raises ValueError on more frames than the
    encoder has positions for.
    """
    lengths_B = encoder_positions(frames_B)
    length = int(encoder_positions(torch.tensor(mel_BMT.shape[-1])))
    if length > encoder.config.max_source_positions:
        raise ValueError(f"{length} encoder positions exceed the model's {encoder.config.max_source_positions}")
    x = functional.gelu(encoder.conv1(mel_BMT))
    # The first convolution writes into the first padded frame, which the second would read: silence it again.
    x = x * (torch.arange(x.shape[-1], device=x.device) < frames_B[:, None])[:, None]
    x = functional.gelu(encoder.conv2(x)).transpose(1, 2)
    x = x + encoder.embed_positions.weight[:length]
    mask = key_mask(lengths_B, length, x.dtype)
    for layer in encoder.layers:
        x = _first(layer(x, mask))
    hidden: Tensor = encoder.layer_norm(x)
    return hidden * real_positions(lengths_B, length)[..., None], lengths_B


def decode_hidden(
    decoder: WhisperDecoder,
    ids_BU: Tensor,
    memory_BSD: Tensor,
    memory_lengths_B: Tensor,
    cache: EncoderDecoderCache | None = None,
) -> Tensor:
    """Hidden states (B, U, D) of the decoder on token ids, right padded; padded memory is masked.

    With a `cache`, `ids_BU` continues what the cache holds, one token at a time.
    """
    past = cache.get_seq_length() if cache is not None else 0
    length = ids_BU.shape[1]
    x = decoder.embed_tokens(ids_BU) + decoder.embed_positions.weight[past : past + length]
    causal = torch.full((length, past + length), torch.finfo(x.dtype).min, dtype=x.dtype, device=x.device)
    causal = causal.triu(past + 1)[None, None]
    memory_mask = key_mask(memory_lengths_B, memory_BSD.shape[1], x.dtype)
    for layer in decoder.layers:
        x = _first(
            layer(
                x,
                causal,
                memory_BSD,
                encoder_attention_mask=memory_mask,
                past_key_values=cache,
                use_cache=cache is not None,
            )
        )
    hidden: Tensor = decoder.layer_norm(x)
    return hidden


@torch.no_grad()
def transcribe(
    whisper: WhisperForConditionalGeneration,
    memory_BSD: Tensor,
    memory_lengths_B: Tensor,
    prefix: tuple[int, ...],
    end: int,
    max_tokens: int,
) -> list[list[int]]:
    """Greedy decoding of what `encode` gave: token ids without prefix and end token, one list an utterance."""
    cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
    batch, device = memory_BSD.shape[0], memory_BSD.device
    max_tokens = min(max_tokens, whisper.config.max_target_positions - len(prefix))
    ids = torch.tensor(prefix, device=device).expand(batch, -1)
    written: list[list[int]] = [[] for _ in range(batch)]
    open_B = torch.ones(batch, dtype=torch.bool, device=device)
    for _ in range(max_tokens):
        hidden = decode_hidden(whisper.model.decoder, ids, memory_BSD, memory_lengths_B, cache)[:, -1]
        chosen_B = whisper.proj_out(hidden).argmax(-1)
        open_B &= chosen_B != end
        if not open_B.any():
            break
        for row in open_B.nonzero().flatten().tolist():
            written[row].append(int(chosen_B[row]))
        ids = chosen_B[:, None]
    return written


def key_mask(lengths_B: Tensor, length: int, dtype: torch.dtype) -> Tensor | None:
    """Additive attention mask (B, 1, 1, S) that hides padded keys; None where nothing is padded."""
    real_BS = real_positions(lengths_B, length)
    if bool(real_BS.all()):
        return None
    mask = torch.zeros(real_BS.shape, dtype=dtype, device=real_BS.device)
    return mask.masked_fill(~real_BS, torch.finfo(dtype).min)[:, None, None]


def real_positions(lengths_B: Tensor, length: int) -> Tensor:
    """Boolean (B, length): True where a position belongs to the utterance."""
    return torch.arange(length, device=lengths_B.device) < lengths_B[:, None]


def _first(output: Any) -> Tensor:
    """A layer's hidden states, whether it returns them alone or in a tuple."""
    hidden: Tensor = output[0] if isinstance(output, tuple) else output
    return hidden
