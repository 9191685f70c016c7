"""A model of a study: its encoder and its LLM found on this machine, its shape, and the study's strategies on it."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scaling.base_models.chat_template import conversation, is_chat, message
from scaling.base_models.encoders import EncoderDims, asr_codec
from scaling.base_models.encoders.ctc import letters_codec
from scaling.base_models.letters import NOTHING, Letters, TokenSource
from scaling.base_models.llms import LlmDims
from scaling.base_models.lookup import ResolvedModel, find_encoder, find_llm
from scaling.base_models.tokenizers import llm_codec
from scaling.cost.model_shape import ModelShape, default_shape, shape_of
from scaling.errors import nearest
from scaling.spec import DataSpec, LoraSpec, ModelSpec, Strategy
from scaling.speech.lengths import Lengths, manifest_lengths
from scaling.speech.manifest import Manifest
from scaling.system.yaml_file import FieldPath
from sweeps.study.schema.model_fields import LoraFields, TunedFields
from sweeps.study.speech_sources import training_texts
from sweeps.study.strategies import strategies_of
from sweeps.study.study_file import StudyFile
from sweeps.study.tuned_settings import TunedSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyModel:
    """A model of the study, with the study's strategies at this model's rates and batch by rule.

    `shape` is what its runs are charged by: where a tokenizer is missing, the prompt counts as empty. `letters` are
    those of a fresh CTC head, None without one. `prompt` is the study's as this LLM reads it. `tuned` holds, by
    strategy, the settings that a search found instead of the rule's.
    """

    spec: ModelSpec
    encoder: ResolvedModel[EncoderDims]
    llm: ResolvedModel[LlmDims]
    letters: Letters | None
    shape: ModelShape
    strategies: tuple[Strategy, ...]
    prompt: str
    tuned: Mapping[str, TunedSettings]

    def lengths(self, manifest: Manifest) -> Lengths:
        """The lengths of every utterance, as this model's texts are written."""
        return manifest_lengths(manifest, encoder=self.asr_tokens, llm=self.llm.directory)

    @property
    def asr_tokens(self) -> TokenSource:
        """What the encoder's own objective writes with: nothing without one."""
        return self.encoder.directory if self.encoder.dims.objective else self.letters or NOTHING

    def data(self, speech: DataSpec) -> DataSpec:
        """The study's speech as this model's runs name it: with this model's prompt."""
        return dataclasses.replace(speech, prompt=self.prompt)

    def strategy_at(self, strategy: Strategy, budget_flops: int) -> Strategy:
        """A strategy of the study with its rates and its batch for that budget."""
        settings = self.tuned.get(strategy.name)
        return strategy if settings is None else settings.applied(strategy, budget_flops)


def study_model(file: StudyFile, position: int) -> StudyModel:
    """The model at that position of the study's `models`. Raises InputError, naming the field that is wrong."""
    fields = file.fields.models[position]
    path = ("models", position)
    with file.at((*path, "encoder")):
        encoder = find_encoder(fields.encoder, file.base)
    with file.at((*path, "llm")):
        llm = find_llm(fields.llm, file.base)
    default = default_shape(encoder.dims, llm.dims)
    spec = ModelSpec(
        encoder_name=encoder.name,
        llm_name=llm.name,
        encoder=encoder.digest,
        llm=llm.digest,
        stack=fields.stack or default.stack,
        hidden=fields.hidden or default.hidden,
        encoder_lora=_lora(fields.encoder_lora, default.encoder_lora),
        llm_lora=_lora(fields.llm_lora, default.llm_lora),
    )
    strategies = strategies_of(file, fields, encoder.dims, llm.dims)
    prompt = _prompt(file, llm.directory)
    letters = _letters(file, (*path, "fresh_ctc_head"), encoder) if fields.fresh_ctc_head else None
    with file.at(path):
        own = asr_codec(encoder.directory, file.fields.language or "") if encoder.directory else None
        asr = own if letters is None else letters_codec(letters)
        text = llm_codec(llm.directory, prompt) if llm.directory else None
        shape = shape_of(spec, encoder.dims, llm.dims, asr, text)
    for place, strategy in enumerate(strategies):
        with file.at(("strategies", place)):
            shape.refuse_missing_objective(strategy.stages)
    return StudyModel(
        spec=spec if letters is None else dataclasses.replace(spec, ctc_letters=letters.digest),
        encoder=encoder,
        llm=llm,
        letters=letters,
        shape=shape,
        strategies=strategies,
        prompt=prompt,
        tuned={name: _tuned(file, (*path, "tuned", name), fields.tuned[name], strategies) for name in fields.tuned},
    )


def _letters(file: StudyFile, path: FieldPath, encoder: ResolvedModel[EncoderDims]) -> Letters:
    if encoder.dims.objective is not None:
        raise file.error(path, True, f"false: {encoder.name} has an objective of its own")
    texts = training_texts(file)
    if texts is None:
        raise file.error(
            path, True, "false where training speech is assumed: the head writes letters of training texts"
        )
    return Letters.of(texts)


def _lora(fields: LoraFields, default: LoraSpec) -> LoraSpec:
    return dataclasses.replace(default, **fields.model_dump(exclude_none=True))


def _prompt(file: StudyFile, llm: Path | None) -> str:
    """The prompt as the LLM reads it: a chat in its own template; without the LLM's files, the message alone."""
    prompt = file.fields.prompt
    text = message(prompt)
    if text.count("{speech}") != 1:
        raise file.error(("prompt",), prompt, "text with {speech} once, where the speech goes, or `chat`")
    if not is_chat(prompt) or llm is None:
        return text
    with file.at(("prompt",)):
        return conversation(llm, text)


def _tuned(file: StudyFile, path: FieldPath, fields: TunedFields, strategies: Sequence[Strategy]) -> TunedSettings:
    by_name = {strategy.name: strategy for strategy in strategies}
    name = str(path[-1])
    if name not in by_name:
        raise file.error(path, name, f"a strategy of the study{nearest(name, by_name)}")
    settings = TunedSettings(
        rates=fields.rates,
        batch_audio_seconds=fields.batch_audio_seconds,
        at_flops=fields.at_flops,
        drift={str(knob): power for knob, power in fields.drift.items()},
        tuning_flops=round(fields.tuning_flops),
        at_edge=fields.at_edge,
    )
    with file.at(path):
        return settings.checked(by_name[name])
