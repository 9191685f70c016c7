"""A study: what a YAML file asks for, checked, with its models, strategies and speech found on this machine."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scaling.base_models.chat_template import conversation, is_chat, message
from scaling.base_models.encoders import EncoderDims, asr_codec
from scaling.base_models.encoders.whisper import WhisperDims
from scaling.base_models.llms import LlmDims
from scaling.base_models.lookup import ResolvedModel, find_encoder, find_llm
from scaling.base_models.tokenizers import llm_codec
from scaling.cost.memory import StepExecution
from scaling.cost.model_shape import ModelShape, default_hidden, default_lora, default_stack
from scaling.errors import InputError, nearest
from scaling.spec import PARTS_OF, DataSpec, LoraSpec, ModelSpec, Optimization, Part, Precision, Stage, Strategy
from scaling.strategies import default_batch_audio_seconds, default_rates, preset, resolve
from sweeps.study.schema import (
    KeptFields,
    LoraFields,
    ModelFields,
    PresetFields,
    RayFields,
    SlurmFields,
    StageFields,
    StagesFields,
    StudyFields,
    TunedFields,
)
from sweeps.study.speech import Speech, find_speech
from sweeps.study.study_file import StudyFile, portable_text, read_study_file
from sweeps.study.too_long import unwritable
from sweeps.study.tuned_settings import TunedSettings
from sweeps.study.yaml12 import FieldPath


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyModel:
    """A model of the study, with the study's strategies at this model's rates and batch by rule.

    `tuned` holds, by strategy, what a search found instead.
    """

    spec: ModelSpec
    encoder: ResolvedModel[EncoderDims]
    llm: ResolvedModel[LlmDims]
    strategies: tuple[Strategy, ...]
    prompt: str
    tuned: Mapping[str, TunedSettings]

    def model_shape(self, language: str) -> ModelShape:
        """The shape that its runs are charged by; without a tokenizer, the prompt counts as empty."""
        asr = asr_codec(self.encoder.directory, language) if self.encoder.directory else None
        llm = llm_codec(self.llm.directory, self.prompt) if self.llm.directory else None
        return ModelShape(
            encoder=self.encoder.dims,
            llm=self.llm.dims,
            stack=self.spec.stack,
            hidden=self.spec.hidden,
            encoder_lora=self.spec.encoder_lora,
            llm_lora=self.spec.llm_lora,
            llm_prompt_tokens=len(llm.before) + len(llm.prefix) - 1 if llm else 0,
            asr_prompt_extra=len(asr.prefix) - 1 if asr else 0,
        )

    def data(self, speech: DataSpec) -> DataSpec:
        """The speech as this model's runs name it: with the prompt as the LLM reads it."""
        return dataclasses.replace(speech, prompt=self.prompt)

    def strategy_at(self, strategy: Strategy, budget_flops: int) -> Strategy:
        """A strategy of the study with its rates and its batch for that budget."""
        found = self.tuned.get(strategy.name)
        return strategy if found is None else found.applied(strategy, budget_flops)


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Budgets x models x strategies x seeds on one set of data, and how to run them.

    Everything up to `precision` enters the runs' keys; the rest says how and where they are run. `text` is the study
    as YAML that means the same in any folder.
    """

    name: str
    budgets_flops: tuple[int, ...]
    models: tuple[StudyModel, ...]
    seeds: tuple[int, ...]
    speech: Speech
    precision: Precision
    threads: int
    processes: int
    shard: bool
    gradient_accumulation: int
    gradient_checkpointing: bool
    compile: bool
    tracker: str
    checkpoint_seconds: float
    disk_quota_gb: float | None
    kept: KeptFields
    slurm: SlurmFields
    ray: RayFields
    text: str

    @property
    def execution(self) -> StepExecution:
        """How its workers, on all of their machines, make a step fit."""
        return StepExecution(
            processes=self.processes * self.slurm.nodes,
            shard=self.shard,
            pieces=self.gradient_accumulation,
            recompute=self.gradient_checkpointing,
        )


def load_study(argument: str, overrides: Sequence[str] = ()) -> Study:
    """The study in the YAML file `argument`, or shipped under that name, with fields replaced by `key=value` texts.

    Raises InputError, naming file, field, value and what was expected, before anything is written.
    """
    file = read_study_file(argument, overrides)
    fields = file.fields
    models = tuple(_model(file, position) for position in range(len(fields.models)))
    _refuse_twins(file, models)
    _refuse_masks_on_waves(file, models)
    return Study(
        name=fields.name,
        budgets_flops=_budgets(file),
        models=models,
        seeds=_distinct(file, "seeds", fields.seeds),
        speech=find_speech(
            file,
            min(model.encoder.dims.max_audio_seconds for model in models),
            partial(unwritable, models, fields.language, fields.augmentation.speeds),
        ),
        precision=fields.precision,
        threads=fields.threads,
        processes=fields.processes,
        shard=fields.shard,
        gradient_accumulation=fields.gradient_accumulation,
        gradient_checkpointing=fields.gradient_checkpointing,
        compile=fields.compile,
        tracker=fields.tracker,
        checkpoint_seconds=fields.checkpoint_seconds,
        disk_quota_gb=fields.disk_quota_gb,
        kept=fields.kept,
        slurm=fields.slurm,
        ray=fields.ray,
        text=portable_text(file),
    )


def _budgets(file: StudyFile) -> tuple[int, ...]:
    budgets = tuple(round(value) for value in file.fields.budgets_flops)
    return tuple(sorted(_distinct(file, "budgets_flops", budgets)))


def _distinct(file: StudyFile, field: str, values: tuple[int, ...]) -> tuple[int, ...]:
    for position, value in enumerate(values):
        if value in values[:position]:
            raise file.error((field, position), value, "each value once")
    return values


def _model(file: StudyFile, position: int) -> StudyModel:
    fields = file.fields.models[position]
    path = ("models", position)
    encoder = file.located((*path, "encoder"), lambda: find_encoder(fields.encoder, file.base))
    llm = file.located((*path, "llm"), lambda: find_llm(fields.llm, file.base))
    strategies = _strategies(file, fields, encoder.dims, llm.dims)
    return StudyModel(
        spec=ModelSpec(
            encoder_name=encoder.name,
            llm_name=llm.name,
            encoder=encoder.digest,
            llm=llm.digest,
            stack=fields.stack or default_stack(encoder.dims),
            hidden=fields.hidden or default_hidden(llm.dims),
            encoder_lora=_lora(fields.encoder_lora, default_lora(encoder.dims)),
            llm_lora=_lora(fields.llm_lora, default_lora(llm.dims)),
        ),
        encoder=encoder,
        llm=llm,
        strategies=strategies,
        prompt=_prompt(file, llm.directory),
        tuned={name: _tuned(file, (*path, "tuned", name), fields.tuned[name], strategies) for name in fields.tuned},
    )


def _prompt(file: StudyFile, llm: Path | None) -> str:
    """A chat is rendered by the LLM's own template; without the LLM it can be priced as what is said alone."""
    asked = file.fields.prompt
    said = message(asked)
    if said.count("{speech}") != 1:
        raise file.error(("prompt",), asked, "text with {speech} once, where the speech goes, or `chat`")
    if not is_chat(asked) or llm is None:
        return said
    return file.located(("prompt",), lambda: conversation(llm, said))


def _tuned(file: StudyFile, path: FieldPath, fields: TunedFields, strategies: Sequence[Strategy]) -> TunedSettings:
    by_name = {strategy.name: strategy for strategy in strategies}
    name = str(path[-1])
    if name not in by_name:
        raise file.error(path, name, f"a strategy of the study{nearest(name, by_name)}")
    found = TunedSettings(
        rates=fields.rates,
        batch_audio_seconds=fields.batch_audio_seconds,
        at_flops=fields.at_flops,
        drift={str(name): power for name, power in fields.drift.items()},
        tuning_flops=round(fields.tuning_flops),
        at_edge=fields.at_edge,
    )
    return file.located(path, lambda: found.checked(by_name[name]))


def _lora(fields: LoraFields, default: LoraSpec) -> LoraSpec:
    given = fields.model_dump(exclude_none=True)
    return dataclasses.replace(default, **given)


def _strategies(file: StudyFile, model: ModelFields, encoder: EncoderDims, llm: LlmDims) -> tuple[Strategy, ...]:
    optimization = _optimization(file.fields, llm)
    strategies: list[Strategy] = []
    door = _Strategies(optimization, encoder.width, llm.width, model.lr_scale)
    for position, fields in enumerate(file.fields.strategies):
        path = ("strategies", position)
        strategy = file.located(path, partial(door.strategy, fields))
        if strategy.name in {other.name for other in strategies}:
            raise file.error(path, strategy.name, "a name of its own for each strategy (`name: ...`)")
        if strategy in strategies:
            twin = strategies[strategies.index(strategy)].name
            raise file.error(path, strategy.name, f"something that {twin!r} is not: they are the same but for the name")
        strategies.append(strategy)
    return tuple(strategies)


def _optimization(fields: StudyFields, llm: LlmDims) -> Optimization:
    return Optimization(
        batch_audio_seconds=fields.batch_audio_seconds or default_batch_audio_seconds(llm.params),
        warmup_steps=fields.warmup_steps,
        cooldown=fields.cooldown,
        beta1=fields.betas[0],
        beta2=fields.betas[1],
        weight_decay=fields.weight_decay,
        clip_norm=fields.clip_norm,
    )


@dataclass(frozen=True, slots=True)
class _Strategies:
    """Strategies as fields become strategies for one model."""

    optimization: Optimization
    encoder_width: int
    llm_width: int
    lr_scale: float

    def strategy(self, fields: str | PresetFields | StagesFields) -> Strategy:
        if isinstance(fields, StagesFields):
            strategy = Strategy(name=fields.name, stages=tuple(self.stage(stage) for stage in fields.stages))
        else:
            strategy = self.preset(PresetFields(preset=fields) if isinstance(fields, str) else fields)
        return dataclasses.replace(strategy, stages=tuple(self.scaled(stage) for stage in strategy.stages))

    def preset(self, fields: PresetFields) -> Strategy:
        return resolve(
            preset(fields.preset),
            optimization=self.optimization,
            encoder_width=self.encoder_width,
            llm_width=self.llm_width,
            name=fields.name,
            shares=fields.shares,
            rates=fields.rates,
        )

    def stage(self, fields: StageFields) -> Stage:
        default = default_rates(fields.objective, self.encoder_width, self.llm_width)
        given = fields.trains if isinstance(fields.trains, dict) else dict.fromkeys(fields.trains)
        if foreign := given.keys() - PARTS_OF[fields.objective]:
            valid = ", ".join(part for part in Part if part in PARTS_OF[fields.objective])
            raise InputError(
                f"stage {fields.name!r}: the {fields.objective} loss never reaches {', '.join(sorted(foreign))};"
                f" expected some of: {valid}"
            )
        return Stage(
            name=fields.name,
            objective=fields.objective,
            trains=tuple((part, given[part] or default[part]) for part in Part if part in given),
            share=fields.share,
            flops=None if fields.flops is None else round(fields.flops),
            optimization=self.optimization,
        )

    def scaled(self, stage: Stage) -> Stage:
        return dataclasses.replace(stage, trains=tuple((part, rate * self.lr_scale) for part, rate in stage.trains))


def _refuse_masks_on_waves(file: StudyFile, models: Sequence[StudyModel]) -> None:
    """SpecAugment hides bands of log-mel features; an encoder that reads the wave has none."""
    masks = file.fields.augmentation.masks
    waves = [model.encoder.name for model in models if not isinstance(model.encoder.dims, WhisperDims)]
    if masks and waves:
        raise file.error(("augmentation", "masks"), masks, f"0 with {', '.join(waves)}, which reads the wave itself")


def _refuse_twins(file: StudyFile, models: Sequence[StudyModel]) -> None:
    for position, model in enumerate(models):
        for other in models[:position]:
            if (model.spec, model.strategies) == (other.spec, other.strategies):
                raise file.error(("models", position), f"{model.encoder.name} + {model.llm.name}", "each model once")
