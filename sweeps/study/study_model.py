"""A model of a study: its encoder and its LLM found on this machine, its shape, and the study's strategies on it."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from scaling.base_models.chat_template import prompt_of
from scaling.base_models.encoders import EncoderDims, refuse_masks
from scaling.base_models.letters import NOTHING, Letters, TokenSource
from scaling.base_models.llms import LlmDims
from scaling.base_models.lookup import ResolvedModel, find_encoder, find_llm
from scaling.cost.model_shape import ModelShape, model_spec, planned_shape
from scaling.spec import DataSpec, ModelSpec, Optimization, Part, Strategy
from scaling.speech.lengths import Lengths, manifest_lengths
from scaling.speech.manifest import Manifest
from scaling.strategies.default_rates import default_batch_audio_seconds
from scaling.strategies.design import StageDesign, StrategyDesign, StrategyRequest
from scaling.strategies.presets import PRESETS
from scaling.strategies.resolve import refuse_twin, resolve
from scaling.strategies.tuned_settings import TunedSettings
from scaling.system.yaml_file import FieldPath
from sweeps.study.schema.model_fields import ModelFields
from sweeps.study.schema.strategy_fields import PresetFields, StageFields, StagesFields
from sweeps.study.schema.study_fields import StudyFields
from sweeps.study.speech_sources import training_texts
from sweeps.study.study_file import StudyFile


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyModel:
    """A model of the study, with the study's strategies at this model's rates and batch by rule.

    `shape` is what its runs are charged by: where a tokenizer is missing, the prompt counts as empty. `letters` are
    those of a fresh CTC head, None without one. `prompt` is the prompt of the study as this LLM reads it. `tuned`
    holds, by strategy, the settings that a search found instead of the rule's.
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


def study_models(file: StudyFile) -> tuple[StudyModel, ...]:
    """The models of the study. Raises InputError, naming the field that is wrong, and where a model is given twice."""
    models: list[StudyModel] = []
    for position in range(len(file.fields.models)):
        model = _study_model(file, position)
        if any((model.spec, model.strategies) == (other.spec, other.strategies) for other in models):
            names = f"{model.encoder.name} + {model.llm.name}"
            raise file.document.error(("models", position), names, "each model once")
        models.append(model)
    return tuple(models)


def _study_model(file: StudyFile, position: int) -> StudyModel:
    fields, path, at = file.fields.models[position], ("models", position), file.document.at
    requests, tuned = map(_request, file.fields.strategies), _tuned_settings(fields)
    optimization, language = _optimization(file.fields), file.language
    with at((*path, "encoder")):
        encoder = find_encoder(fields.encoder, file.base)
    with at((*path, "llm")):
        llm = find_llm(fields.llm, file.base)
    with at(("augmentation", "masks")):
        refuse_masks(encoder.dims, file.fields.augmentation.masks)
    with at(("prompt",)):
        prompt = prompt_of(llm.directory, file.fields.prompt)
    letters = _letters(file, (*path, "fresh_ctc_head"), encoder) if fields.fresh_ctc_head else None
    with at(path):
        spec = model_spec(
            encoder,
            llm,
            stack=fields.stack,
            hidden=fields.hidden,
            encoder_lora=fields.encoder_lora.model_dump(exclude_none=True),
            llm_lora=fields.llm_lora.model_dump(exclude_none=True),
            ctc_letters="" if letters is None else letters.digest,
        )
        shape = planned_shape(spec, encoder, llm, language, prompt, letters)
    batch = file.fields.batch_audio_seconds or default_batch_audio_seconds(llm.dims.params)
    strategies: list[Strategy] = []
    for place, request in enumerate(requests):
        with at(("strategies", place)):
            strategy = resolve(
                request,
                optimization(batch_audio_seconds=batch),
                encoder_width=encoder.dims.width,
                llm_width=llm.dims.width,
                lr_scale=fields.lr_scale,
            )
            refuse_twin(strategy, strategies)
            shape.refuse_missing_objective(strategy.stages)
            strategies.append(strategy)
    for name, settings in tuned.items():
        with at((*path, "tuned", name)):
            settings.check(name, strategies)
    return StudyModel(
        spec=spec,
        encoder=encoder,
        llm=llm,
        letters=letters,
        shape=shape,
        strategies=tuple(strategies),
        prompt=prompt,
        tuned=tuned,
    )


def _request(fields: str | PresetFields | StagesFields) -> StrategyRequest:
    """A strategy as the study asks for it, before a model gives it its rates and its batch."""
    if isinstance(fields, str):
        return StrategyRequest(design=PRESETS[fields])
    if isinstance(fields, PresetFields):
        design = PRESETS[fields.preset]
        return StrategyRequest(design=design, name=fields.name, shares=fields.shares, rates=fields.rates)
    return StrategyRequest(design=StrategyDesign(name=fields.name, stages=tuple(map(_stage, fields.stages))))


def _stage(fields: StageFields) -> StageDesign:
    return StageDesign(
        name=fields.name,
        objective=fields.objective,
        parts=tuple(part for part in Part if part in fields.trains),
        share=fields.share,
        flops=None if fields.flops is None else round(fields.flops),
        rates=dict(fields.trains) if isinstance(fields.trains, dict) else {},
    )


def _letters(file: StudyFile, path: FieldPath, encoder: ResolvedModel[EncoderDims]) -> Letters:
    if encoder.dims.objective is not None:
        raise file.document.error(path, True, f"false: {encoder.name} has an objective of its own")
    texts = training_texts(file)
    if texts is None:
        expected = "false where training speech is assumed: the head writes the characters of training texts"
        raise file.document.error(path, True, expected)
    return Letters.of(texts)


def _optimization(fields: StudyFields) -> "partial[Optimization]":
    """How stages update weights, but for the batch, which may depend on the LLM."""
    return partial(
        Optimization,
        warmup_steps=fields.warmup_steps,
        cooldown=fields.cooldown,
        beta1=fields.betas[0],
        beta2=fields.betas[1],
        weight_decay=fields.weight_decay,
        clip_norm=fields.clip_norm,
    )


def _tuned_settings(fields: ModelFields) -> dict[str, TunedSettings]:
    return {
        strategy: TunedSettings(**tuned.model_dump() | {"tuning_flops": round(tuned.tuning_flops)})
        for strategy, tuned in fields.tuned.items()
    }
