"""The shape of a recogniser, and how many positions each of its modules works on."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scaling.dims import EncoderDims, LlmDims
from scaling.errors import InputError, nearest
from scaling.lengths import IntArray, Lengths
from scaling.spec import LoraSpec

ENCODER_LINEARS = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
LLM_LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """All that the cost of a step depends on but the utterances in it.

    The projector joins `stack` encoder frames and maps them through a hidden layer of width `hidden`.
    `llm_prompt_tokens` are the positions of the LLM beside speech and text. `asr_prompt_extra` are those of the decoder
    beside the text, whose count already pays for one start token. Raises InputError on a LoRA target that names no
    linear layer.
    """

    encoder: EncoderDims
    llm: LlmDims
    stack: int
    hidden: int
    encoder_lora: LoraSpec
    llm_lora: LoraSpec
    llm_prompt_tokens: int = 0
    asr_prompt_extra: int = 0

    def __post_init__(self) -> None:
        for lora, linears in ((self.encoder_lora, ENCODER_LINEARS), (self.llm_lora, LLM_LINEARS)):
            for target in lora.targets:
                if target not in linears:
                    raise InputError(f"LoRA target {target!r} names no linear layer{nearest(target, linears)}")

    @property
    def projector_params(self) -> int:
        """Parameters of the projector: two linear layers with biases."""
        return (self.stack * self.encoder.width + 1) * self.hidden + (self.hidden + 1) * self.llm.width

    def mel_frames(self, lengths: Lengths) -> IntArray:
        """Log-mel frames of each utterance."""
        return lengths.samples // self.encoder.hop_length

    def encoder_frames(self, lengths: Lengths) -> IntArray:
        """Encoder positions of each utterance: the second convolution halves the frames, rounding up."""
        return (self.mel_frames(lengths) + 1) // 2

    def speech_tokens(self, lengths: Lengths) -> IntArray:
        """Speech tokens of each utterance; the last stack of frames is filled up with zeros."""
        return -(-self.encoder_frames(lengths) // self.stack)

    def llm_positions(self, lengths: Lengths) -> IntArray:
        """Positions of the LLM: prompt, speech, and a start token with all of the text but its end token."""
        return self.speech_tokens(lengths) + self.llm_prompt_tokens + lengths.llm_tokens

    def decoder_positions(self, lengths: Lengths) -> IntArray:
        """Positions of the ASR decoder: prompt tokens and all of the text but its end token."""
        return lengths.asr_tokens + self.asr_prompt_extra

    def too_long(self, lengths: Lengths) -> npt.NDArray[np.bool_]:
        """Utterances the encoder-decoder has no positions for: audio over its window, or text over its context."""
        audio = self.encoder_frames(lengths) > self.encoder.max_positions
        return np.asarray(audio | (self.decoder_positions(lengths) > self.encoder.max_decoder_positions))
