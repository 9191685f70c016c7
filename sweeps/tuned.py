"""Rates that a search found for one strategy on one model, and what finding them cost."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scaling.errors import InputError
from scaling.spec import Part, Stage, Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """Peak rates of each stage's parts at a budget of `at_flops`, and the power of the budget with which they drift.

    `tuning_flops` were charged to the search; `at_edge` names the knobs whose best rate was the highest or lowest
    tried. Both go into the table of runs, beside results that rest on them.
    """

    rates: Mapping[str, Mapping[Part, float]]
    at_flops: float
    drift: Mapping[Part, float]
    tuning_flops: int
    at_edge: tuple[str, ...]

    def checked(self, strategy: Strategy) -> "Tuned":
        """Itself, if its stages and parts are those of `strategy`; else raises InputError."""
        expected = {stage.name: stage.parts for stage in strategy.stages}
        if len(expected) != len(strategy.stages):
            raise InputError(f"tuned: the stages of {strategy.name!r} need a name each")
        if {stage: frozenset(rates) for stage, rates in self.rates.items()} != expected:
            wanted = {stage: sorted(parts) for stage, parts in expected.items()}
            raise InputError(f"tuned.{strategy.name}: expected a rate for each of {wanted}")
        return self

    def applied(self, strategy: Strategy, budget_flops: int) -> Strategy:
        """`strategy` with the rates for that budget."""
        stages = tuple(self._stage(stage, budget_flops / self.at_flops) for stage in strategy.stages)
        return Strategy(name=strategy.name, stages=stages)

    def columns(self) -> dict[str, Any]:
        """What a row of the table of runs says about the tuning of its strategy."""
        return {"tuning_flops": self.tuning_flops, "lr_at_grid_edge": bool(self.at_edge)}

    def _stage(self, stage: Stage, budgets: float) -> Stage:
        rates = self.rates[stage.name]
        trains = tuple((part, _drifted(rates[part], budgets, self.drift.get(part, 0.0))) for part, _ in stage.trains)
        return dataclasses.replace(stage, trains=trains)


def _drifted(rate: float, budgets: float, power: float) -> float:
    return float(f"{rate * budgets**power:.4g}") if power else rate
