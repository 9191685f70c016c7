"""The strategies that a study file asks for, before a model gives them their rates and their batch."""

from scaling.spec import Part
from scaling.strategies.design import StageDesign, StrategyDesign, StrategyRequest
from scaling.strategies.presets import PRESETS
from sweeps.study.schema.strategy_fields import PresetFields, StageFields, StagesFields
from sweeps.study.schema.study_fields import StudyFields


def strategy_requests(fields: StudyFields) -> list[StrategyRequest]:
    """Every strategy of the study, in its order."""
    return [_request(strategy) for strategy in fields.strategies]


def _request(fields: str | PresetFields | StagesFields) -> StrategyRequest:
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
