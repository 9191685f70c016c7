"""What encoders with a CTC head have in common: they write at every frame, and positions set no limit to the audio."""

from pathlib import Path

from scaling.arrays import IntArray
from scaling.base_models.matmul_tape import Flow, Tape, Weights
from scaling.base_models.tokenizers import TextCodec, load_tokenizer, model_settings, tokenizer_file
from scaling.spec import Part

UNLIMITED = float("inf")


class CtcDims:
    """The part of an encoder's dimensions that its CTC head decides. Widths are in features."""

    __slots__ = ()

    width: int
    vocabulary: int

    @property
    def asr_decoder_params(self) -> int:
        """Parameters of the CTC head."""
        return (self.width + 1) * self.vocabulary

    @property
    def max_frames(self) -> float:
        """Infinite: positions are relative, so that only memory limits the audio."""
        return UNLIMITED

    @property
    def max_audio_seconds(self) -> float:
        """Infinite, as `max_frames`."""
        return UNLIMITED

    def max_tokens(self, frames: IntArray) -> IntArray:
        """The most text tokens for so many encoder positions: CTC writes one at each position."""
        return frames

    def output_positions(self, frames: IntArray, tokens: IntArray) -> IntArray:
        """Positions at which the CTC head has an output: every frame."""
        return frames

    def decode(self, tape: Tape, speech: Flow) -> None:
        """Record the CTC head: a token or a blank at every frame."""
        tape.linear(Weights(Part.ASR_DECODER), "lm_head", speech, self.vocabulary)


def asr_codec(directory: Path, language: str) -> TextCodec:
    """The codec of the CTC head: no prefix, no end token, and the tokens of one head whatever `language` is."""
    vocabulary = model_settings(directory).get("vocab_size")
    return TextCodec(load_tokenizer(tokenizer_file(directory), vocabulary), (), (), None)
