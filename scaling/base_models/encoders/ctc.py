"""CTC: a head on the frames of an encoder, which writes a token or a blank at every one of them.

Published CTC models bring their head. An audio tower, trained behind an LLM, has none; a study may give it a fresh one.
"""

from dataclasses import dataclass
from pathlib import Path

from scaling.arrays import IntArray
from scaling.base_models.encoders.objective import Encoder
from scaling.base_models.letters import Letters
from scaling.base_models.matmul_tape import Flow, Tape, Weights
from scaling.base_models.tokenizers import TextCodec, load_tokenizer, model_settings, tokenizer_file
from scaling.spec import Part


@dataclass(frozen=True, slots=True)
class CtcHead:
    """A linear layer from `width` features to the tokens of its `vocabulary`, the blank among them."""

    width: int
    vocabulary: int

    @property
    def params(self) -> int:
        """Parameters of the head."""
        return (self.width + 1) * self.vocabulary

    def max_tokens(self, frames: IntArray) -> IntArray:
        """The most text tokens for so many encoder positions: CTC writes one at each position."""
        return frames

    def output_positions(self, frames: IntArray, tokens: IntArray) -> IntArray:
        """Positions at which the head has an output: every frame."""
        return frames

    def decode(self, tape: Tape, speech: Flow) -> None:
        """Record the head: a token or a blank at every frame."""
        tape.linear(Weights(Part.ASR_DECODER), "lm_head", speech, self.vocabulary)


class CtcDims(Encoder):
    """The part of an encoder's dimensions that its own CTC head decides. Widths are in features."""

    __slots__ = ()

    vocabulary: int

    @property
    def objective(self) -> CtcHead:
        """The model's own head."""
        return CtcHead(self.width, self.vocabulary)


class AudioTowerDims(Encoder):
    """An encoder without an objective of its own; a study may give it a head of `fresh_vocabulary` tokens (0: none)."""

    __slots__ = ()

    fresh_vocabulary: int

    @property
    def objective(self) -> CtcHead | None:
        """The fresh head, where there is one."""
        return CtcHead(self.width, self.fresh_vocabulary) if self.fresh_vocabulary else None


def asr_codec(directory: Path, language: str) -> TextCodec:
    """The codec of the model's own head: no prefix, no end token, and its tokens whatever `language` is."""
    vocabulary = model_settings(directory).get("vocab_size")
    return TextCodec(load_tokenizer(tokenizer_file(directory), vocabulary), (), (), None)


def letters_codec(letters: Letters) -> TextCodec:
    """The codec of a fresh head that writes these letters."""
    return TextCodec(letters.tokenizer(), (), (), None)
