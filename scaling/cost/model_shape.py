"""The shape of a recogniser, and how many positions each of its modules works on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from scaling.arrays import IntArray
from scaling.base_models.encoders import EncoderDims, asr_codec, with_fresh_head
from scaling.base_models.encoders.ctc import letters_codec
from scaling.base_models.letters import Letters
from scaling.base_models.llms import LlmDims
from scaling.base_models.lookup import ResolvedModel
from scaling.base_models.matmul_tape import Work
from scaling.base_models.tokenizers import TextCodec, llm_codec
from scaling.errors import InputError, nearest
from scaling.spec import LoraSpec, ModelSpec, Objective
from scaling.speech.lengths import Lengths

SPEECH_TOKENS_PER_SECOND = 12.5
"""Assumption: about the rate of syllables and subwords. Whisper's 50 frames a second are stacked by 4, the minis' 25
by 2, which is the stack that learns best on them (see LOG.md); wider stacks cost accuracy there."""

LORA_RANK, LORA_SCALE = 8, 2.0
"""A rank of the original LoRA, and what the minis were tried with; at full scale an assumption."""


class NamedStage(Protocol):
    """A stage of a strategy or of a preset."""

    @property
    def name(self) -> str:
        """What a message calls it."""

    @property
    def objective(self) -> Objective:
        """The loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
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
        for lora, linears in ((self.encoder_lora, self.encoder.linears), (self.llm_lora, self.llm.linears)):
            for target in lora.targets:
                if target not in linears:
                    raise InputError(f"LoRA target {target!r} names no linear layer{nearest(target, linears)}")

    @property
    def projector_params(self) -> int:
        """Parameters of the projector: two linear layers with biases."""
        return (self.stack * self.encoder.width + 1) * self.hidden + (self.hidden + 1) * self.llm.width

    def encoder_frames(self, lengths: Lengths) -> IntArray:
        """Encoder positions of each utterance."""
        return self.encoder.encoder_work(lengths.samples)[Work.ENCODER_FRAMES]

    def speech_tokens(self, lengths: Lengths) -> IntArray:
        """Speech tokens of each utterance; the last stack of frames is filled up with zeros."""
        return -(-self.encoder_frames(lengths) // self.stack)

    def llm_positions(self, lengths: Lengths) -> IntArray:
        """Positions of the LLM: prompt, speech, and a start token with all of the text but its end token."""
        return self.speech_tokens(lengths) + self.llm_prompt_tokens + lengths.llm_tokens

    def output_positions(self, lengths: Lengths) -> IntArray:
        """Positions the encoder's own objective writes at: a decoder's, or all frames; none without an objective."""
        if self.encoder.objective is None:
            return np.zeros_like(lengths.samples)
        tokens = lengths.asr_tokens + self.asr_prompt_extra
        return self.encoder.objective.output_positions(self.encoder_frames(lengths), tokens)

    def too_long(self, lengths: Lengths) -> npt.NDArray[np.bool_]:
        """Utterances without positions: too long audio or text, or both together, for the encoder or the LLM."""
        audio = self.encoder_frames(lengths) > self.encoder.max_frames
        text = lengths.asr_tokens > self.most_text_tokens(lengths)
        return np.asarray(audio | text | (self.llm_positions(lengths) > self.llm.context))

    def most_text_tokens(self, lengths: Lengths) -> IntArray:
        """The most target tokens of each utterance: what its own objective can write, else what the LLM can hold."""
        if self.encoder.objective is None:
            return np.full_like(lengths.samples, self.llm.context)
        return self.encoder.objective.max_tokens(self.encoder_frames(lengths)) - self.asr_prompt_extra

    def refuse_missing_objective(self, stages: Iterable[NamedStage]) -> None:
        """Raise InputError where a stage trains by the encoder's own objective and the encoder has none."""
        for stage in stages:
            if stage.objective is Objective.ASR and self.encoder.objective is None:
                raise InputError(
                    f"stage {stage.name!r} trains by the encoder's own objective, and {self.encoder.name} has none:"
                    " it was trained behind an LLM; expected a strategy that trains through the LLM alone, such as"
                    " joint or frozen_encoder, or in a study a fresh CTC head (`fresh_ctc_head: true` of the model)"
                )


def shape_of(
    spec: ModelSpec, encoder: EncoderDims, llm: LlmDims, asr: TextCodec | None, text: TextCodec | None
) -> ModelShape:
    """The shape that runs of a model are charged by: the same for the plan and for the trainer.

    `asr` and `text` are how the encoder's own objective and the LLM write; where one is None, its prompt counts as
    empty. Raises InputError on a LoRA target that names no linear layer.
    """
    return ModelShape(
        encoder=encoder if asr is None else with_fresh_head(encoder, asr.tokenizer.get_vocab_size()),
        llm=llm,
        stack=spec.stack,
        hidden=spec.hidden,
        encoder_lora=spec.encoder_lora,
        llm_lora=spec.llm_lora,
        llm_prompt_tokens=text.prompt_tokens if text else 0,
        asr_prompt_extra=asr.prompt_tokens if asr else 0,
    )


def planned_shape(
    spec: ModelSpec,
    encoder: ResolvedModel[EncoderDims],
    llm: ResolvedModel[LlmDims],
    language: str,
    prompt: str,
    letters: Letters | None = None,
) -> ModelShape:
    """The shape that a plan charges a model by, whose prompt counts as empty where a tokenizer is missing.

    `letters` are those of a fresh CTC head.

    Raises InputError on a LoRA target that names no linear layer, and where a tokenizer cannot write the prompt.
    """
    own = asr_codec(encoder.directory, language) if encoder.directory else None
    asr = own if letters is None else letters_codec(letters)
    text = llm_codec(llm.directory, prompt) if llm.directory else None
    return shape_of(spec, encoder.dims, llm.dims, asr, text)


def model_spec(
    encoder: ResolvedModel[EncoderDims],
    llm: ResolvedModel[LlmDims],
    *,
    stack: int | None,
    hidden: int | None,
    encoder_lora: Mapping[str, Any],
    llm_lora: Mapping[str, Any],
    ctc_letters: str = "",
) -> ModelSpec:
    """The identity of a model, with what it says of projector and adapters in place of the default (`default_shape`).

    `encoder_lora` and `llm_lora` give some of the fields of a `LoraSpec`. `ctc_letters` is the digest of the alphabet
    of a fresh CTC head.
    """
    default = default_shape(encoder.dims, llm.dims)
    return ModelSpec(
        encoder_name=encoder.name,
        llm_name=llm.name,
        encoder=encoder.digest,
        llm=llm.digest,
        stack=stack or default.stack,
        hidden=hidden or default.hidden,
        encoder_lora=replace(default.encoder_lora, **encoder_lora),
        llm_lora=replace(default.llm_lora, **llm_lora),
        ctc_letters=ctc_letters,
    )


def default_shape(encoder: EncoderDims, llm: LlmDims) -> ModelShape:
    """The shape where nothing is said: a projector as wide as the LLM, as in LLaVA (assumption: it suits speech)."""
    return ModelShape(
        encoder=encoder,
        llm=llm,
        stack=max(1, round(encoder.frames_per_second / SPEECH_TOKENS_PER_SECOND)),
        hidden=llm.width,
        encoder_lora=default_lora(encoder),
        llm_lora=default_lora(llm),
    )


def default_lora(model: EncoderDims | LlmDims) -> LoraSpec:
    """Adapters on every linear layer of the model."""
    return LoraSpec(rank=LORA_RANK, alpha=LORA_SCALE * LORA_RANK, targets=model.linears)
