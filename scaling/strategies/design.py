"""Strategies before a model is known: stages without learning rates, and what a study changes in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from scaling.spec import Objective, Part


@dataclass(frozen=True, slots=True, kw_only=True)
class StageDesign:
    """A stage without learning rates, which follow from a model; but for the parts that `rates` gives rates to."""

    name: str
    objective: Objective
    parts: tuple[Part, ...]
    share: float | None = None
    flops: int | None = None
    rates: Mapping[Part, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyDesign:
    """A strategy without learning rates, which follow from a model: a preset, or a user's own."""

    name: str
    stages: tuple[StageDesign, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyRequest:
    """A design, and what a study changes in it.

    `shares` replaces the shares, with one number for each stage. `rates` gives absolute peak rates: `{part: rate}` for
    every stage or `{stage name: {part: rate}}` for one.
    """

    design: StrategyDesign
    name: str | None = None
    shares: Sequence[float] | None = None
    rates: Mapping[str, float | Mapping[str, float]] = field(default_factory=dict)
