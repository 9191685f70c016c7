"""The strategies of a study file, as one model of the study trains by them: with its rates and its batch by rule."""

import dataclasses

from scaling.base_models.encoders import EncoderDims
from scaling.base_models.llms import LlmDims
from scaling.errors import InputError
from scaling.spec import PARTS_OF, Optimization, Part, Stage, Strategy
from scaling.strategies import default_batch_audio_seconds, default_rates, preset, resolve
from sweeps.study.schema.model_fields import ModelFields
from sweeps.study.schema.strategy_fields import PresetFields, StageFields, StagesFields
from sweeps.study.schema.study_fields import StudyFields
from sweeps.study.study_file import StudyFile


def strategies_of(file: StudyFile, model: ModelFields, encoder: EncoderDims, llm: LlmDims) -> tuple[Strategy, ...]:
    """Every strategy of the study on one model. Raises InputError, naming the field, on unknown or equal strategies."""
    optimization = _optimization(file.fields, llm)
    strategies: list[Strategy] = []
    for position, fields in enumerate(file.fields.strategies):
        path = ("strategies", position)
        with file.at(path):
            strategy = _scaled(_strategy(fields, optimization, encoder.width, llm.width), model.lr_scale)
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


def _strategy(
    fields: str | PresetFields | StagesFields, optimization: Optimization, encoder_width: int, llm_width: int
) -> Strategy:
    if isinstance(fields, StagesFields):
        stages = tuple(_stage(stage, optimization, encoder_width, llm_width) for stage in fields.stages)
        return Strategy(name=fields.name, stages=stages)
    changed = PresetFields(preset=fields) if isinstance(fields, str) else fields
    return resolve(
        preset(changed.preset),
        optimization=optimization,
        encoder_width=encoder_width,
        llm_width=llm_width,
        name=changed.name,
        shares=changed.shares,
        rates=changed.rates,
    )


def _stage(fields: StageFields, optimization: Optimization, encoder_width: int, llm_width: int) -> Stage:
    default = default_rates(fields.objective, encoder_width, llm_width)
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
        optimization=optimization,
    )


def _scaled(strategy: Strategy, lr_scale: float) -> Strategy:
    stages = tuple(
        dataclasses.replace(stage, trains=tuple((part, rate * lr_scale) for part, rate in stage.trains))
        for stage in strategy.stages
    )
    return dataclasses.replace(strategy, stages=stages)
