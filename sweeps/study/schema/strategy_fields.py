"""Fields of training strategies: presets, changed presets, and strategies written out as stages."""

from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Field, StrictStr, Tag

from scaling.errors import nearest
from scaling.spec import Objective, Part
from scaling.strategies.presets import PRESETS
from sweeps.study.schema.field_types import Fields, Flops, Name, Rate, Share, mapping_or_not

StageRates = Annotated[
    Annotated[dict[StrictStr, Rate], Tag("<mapping>")] | Annotated[Rate, Tag("<plain>")], Discriminator(mapping_or_not)
]
"""A part's rate, or the rates of a stage's parts."""

TrainedParts = Annotated[
    Annotated[dict[Part, Rate], Field(min_length=1), Tag("<mapping>")]
    | Annotated[tuple[Part, ...], Field(min_length=1), Tag("<plain>")],
    Discriminator(mapping_or_not),
]
"""Parts with rates, or parts alone."""


def _known_preset(name: str) -> str:
    if name not in PRESETS:
        raise ValueError(f"the name of a preset{nearest(name, PRESETS)}")
    return name


PresetName = Annotated[StrictStr, AfterValidator(_known_preset)]


class PresetFields(Fields):
    """A preset with other shares or rates, under a name of its own."""

    preset: PresetName
    """Name of the preset."""
    name: Name | None = None
    """Name in results; default: the preset's."""
    shares: tuple[Share, ...] | None = None
    """Shares of the budget, one for each stage of the preset; they sum to one."""
    rates: dict[StrictStr, StageRates] = Field(default={})
    """By stage: a peak rate for all its parts, or rates by part."""


class StageFields(Fields):
    """One stage of a strategy written out; parts given as a list get the default rates."""

    name: Name
    """Name of the stage in results."""
    objective: Objective
    """asr: the encoder's own loss; llm: the next token through projector and LLM."""
    trains: TrainedParts
    """Parts that are trained, with peak rates ({projector: 1e-3}) or by default rates ([projector, llm_lora])."""
    share: Share | None = None
    """Share of the run's budget."""
    flops: Flops | None = None
    """An amount in place of a share: stages of equal amounts are trained once for all budgets."""


class StagesFields(Fields):
    """A strategy of the user's own."""

    name: Name
    """Name in results."""
    stages: tuple[StageFields, ...] = Field(min_length=1)
    """Stages in the order in which they are trained."""


def _strategy_kind(value: Any) -> str:
    if isinstance(value, str):
        return "<name>"
    stages = "stages" in value if isinstance(value, dict) else isinstance(value, StagesFields)
    return "<stages>" if stages else "<preset>"


StrategyFields = Annotated[
    Annotated[PresetName, Tag("<name>")]
    | Annotated[PresetFields, Tag("<preset>")]
    | Annotated[StagesFields, Tag("<stages>")],
    Discriminator(_strategy_kind),
]
