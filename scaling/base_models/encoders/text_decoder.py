"""A decoder that writes text by attention to an encoder's output, as Whisper's does, and the codec of its tokens."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from scaling.arrays import IntArray
from scaling.base_models.matmul_tape import Flow, Tape, Weights, Work, attention, feed_forward
from scaling.base_models.tokenizers import TextCodec, load_tokenizer, model_settings, token_id, tokenizer_file
from scaling.errors import InputError
from scaling.spec import Part

TASK, NO_TIMESTAMPS = "<|transcribe|>", "<|notimestamps|>"

MULTILINGUAL_VOCABULARY = 51_865
"""The smallest vocabulary of a multilingual model. English models have one token less; their vocabulary includes
language tokens that they never learned, and OpenAI's own code distinguishes the models by the size."""


@dataclass(frozen=True, slots=True)
class TextDecoder:
    """Widths in features; as wide as the encoder, `ffn` inside of a feed-forward, and at most `positions` tokens."""

    width: int
    layers: int
    ffn: int
    vocabulary: int
    positions: int

    @property
    def params(self) -> int:
        """Parameters of the decoder; its embeddings are counted once, because the output projection is tied to them."""
        feed_forward = feed_forward_params(self.width, self.ffn)
        layer = 2 * attention_params(self.width) + feed_forward + 3 * norm_params(self.width)
        return (self.vocabulary + self.positions) * self.width + self.layers * layer + norm_params(self.width)

    def max_tokens(self, frames: IntArray) -> IntArray:
        """The most prompt and text tokens, whatever the number of encoder positions."""
        return np.full_like(frames, self.positions)

    def output_positions(self, frames: IntArray, tokens: IntArray) -> IntArray:
        """Positions of the decoder: one for each prompt or text token."""
        return tokens

    def decode(self, tape: Tape, speech: Flow) -> None:
        """Record the decoder: text that attends to the speech, with logits at target positions."""
        weights, width = Weights(Part.ASR_DECODER), self.width
        memory = replace(speech, work=Work.CROSS_FRAMES)

        def layer(x: Flow) -> Flow:
            x = x.plus(attention(tape, weights, x, x, Work.DECODER_PAIRS, width, width, "out_proj"))
            x = x.plus(attention(tape, weights, x, memory, Work.CROSS_PAIRS, width, width, "out_proj"))
            return x.plus(feed_forward(tape, weights, x, self.ffn))

        # The embeddings train with the decoder: the input of its first layer needs a gradient where the decoder trains.
        first = Flow(Work.DECODER, width, Part.ASR_DECODER in tape.trained)
        text = tape.layers(self.layers, first, layer)
        tape.linear(weights, "proj_out", replace(text, work=Work.ASR_TARGETS), self.vocabulary)


def text_codec(directory: Path, language: str) -> TextCodec:
    """The codec of the decoder. `language` is a Whisper code (`zh`, `en`), which English models ignore.

    The prefix is the start token, then language and task (multilingual models), then no-timestamps, as far as the
    vocabulary has these tokens. Raises InputError on a language that a multilingual model does not know.
    """
    settings = model_settings(directory)
    tokenizer = load_tokenizer(tokenizer_file(directory), settings.get("vocab_size"))
    start = token_id(settings, directory, "decoder_start_token_id")
    multilingual = settings.get("is_multilingual", settings.get("vocab_size", 0) >= MULTILINGUAL_VOCABULARY)
    names = [f"<|{language}|>", TASK, NO_TIMESTAMPS] if multilingual else [NO_TIMESTAMPS]
    ids = {token: tokenizer.token_to_id(token) for token in names}
    if multilingual and ids[names[0]] is None:
        raise InputError(f"{directory}: the encoder's tokenizer has no language {language!r}")
    prefix = (start, *(number for number in ids.values() if number is not None))
    return TextCodec(tokenizer, (), prefix, token_id(settings, directory, "eos_token_id"))


def attention_params(width: int) -> int:
    """Parameters of an attention whose keys have no bias."""
    return 4 * width**2 + 3 * width


def feed_forward_params(width: int, inner: int) -> int:
    """Parameters of two linear layers with `inner` features between them."""
    return 2 * width * inner + inner + width


def norm_params(width: int) -> int:
    """Parameters of a norm with a bias."""
    return 2 * width
