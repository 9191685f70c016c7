"""The strategies that a study file asks for, before a model gives them their rates and their batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from scaling.spec import Part
from scaling.strategies import PRESETS, StageDesign, StrategyDesign
from sweeps.study.schema.strategy_fields import PresetFields, StageFields, StagesFields
from sweeps.study.schema.study_fields import StudyFields


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyRequest:
    """A preset or a design of the user's own, and what the study changes in it (see `scaling.strategies.resolve`)."""

    design: StrategyDesign
    name: str | None = None
    shares: Sequence[float] | None = None
    rates: Mapping[str, float | Mapping[str, float]] = field(default_factory=dict)


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
