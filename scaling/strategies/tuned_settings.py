"""What a search found for one strategy on one model, and what finding it cost."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from scaling.errors import InputError, nearest
from scaling.spec import Part, Stage, Strategy

BATCH = "batch_audio_seconds"
"""Beside the parts in `TunedSettings.drift`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedSettings:
    """Peak rates of each stage's parts and the batch of all stages, in seconds of audio, at a budget of `at_flops`.

    `batch_audio_seconds` is None where rates alone were searched: batches are then the study's. `drift` holds the power
    of the budget with which the rates of a part, or the batch, go on from there, between the smallest and the largest
    budget of the search, `searched_flops`. Beyond these the settings stay: a search of the minis at 2.5e11 and 1e12
    FLOPs found a rate of the projector that grows by the power .82, so that 1e13 FLOPs would have got .18, where .027
    was the highest rate tried (LOG.md). None: the drift goes on without end. `tuning_flops` were charged to the search;
    `at_edge` names the knobs whose best was the highest or lowest tried. Both go into the table of runs, beside
    results that rest on them.
    """

    rates: Mapping[str, Mapping[Part, float]]
    batch_audio_seconds: float | None
    at_flops: float
    drift: Mapping[str, float]
    tuning_flops: int
    at_edge: tuple[str, ...]
    searched_flops: tuple[float, float] | None = None

    @property
    def highest_flops(self) -> float:
        """The largest budget of the search; `at_flops` where it is not known."""
        return self.at_flops if self.searched_flops is None else self.searched_flops[1]

    def check(self, name: str, strategies: Sequence[Strategy]) -> None:
        """Raise InputError where no strategy has that name, or the settings are for other stages or parts than its."""
        by_name = {strategy.name: strategy for strategy in strategies}
        if name not in by_name:
            raise InputError(f"{name!r}; expected a strategy of the study{nearest(name, by_name)}")
        strategy = by_name[name]
        expected = {stage.name: stage.parts for stage in strategy.stages}
        if len(expected) != len(strategy.stages):
            raise InputError(f"tuned: the stages of {strategy.name!r} need a name each")
        if {stage: frozenset(rates) for stage, rates in self.rates.items()} != expected:
            wanted = {stage: sorted(parts) for stage, parts in expected.items()}
            raise InputError(f"tuned.{strategy.name}: expected a rate for each of {wanted}")
        low, high = self.searched_flops or (self.at_flops, self.at_flops)
        if not low <= self.at_flops <= high:
            raise InputError(
                f"tuned.{name}: searched_flops: [{low:g}, {high:g}]; expected the smallest and the largest budget of"
                f" the search, with at_flops ({self.at_flops:g}) between them"
            )
        if BATCH in self.drift and self.batch_audio_seconds is None:
            raise InputError(f"tuned.{strategy.name}: {BATCH} drifts from nowhere; expected a {BATCH} beside the rates")

    def applied(self, strategy: Strategy, budget_flops: int) -> Strategy:
        """`strategy` at that budget. Raises InputError where a rate drifts out of (0, 1) or the batch to no size."""
        low, high = self.searched_flops or (0.0, math.inf)
        budget = min(max(low, budget_flops), high)
        stages = tuple(self._stage(stage, budget / self.at_flops) for stage in strategy.stages)
        return Strategy(name=strategy.name, stages=stages)

    def columns(self) -> dict[str, object]:
        """What a row of the table of runs says about the tuning of its strategy."""
        batch = {"batch_at_grid_edge": "batch" in self.at_edge} if self.batch_audio_seconds is not None else {}
        rates_at_edge = bool(set(self.at_edge) - {"batch"})
        return {"tuning_flops": self.tuning_flops, "lr_at_grid_edge": rates_at_edge, **batch}

    def _stage(self, stage: Stage, budgets: float) -> Stage:
        rates, batch = self.rates[stage.name], self.batch_audio_seconds or stage.optimization.batch_audio_seconds
        return dataclasses.replace(
            stage,
            trains=tuple((part, self._drifted(part, rates[part], budgets, most=1.0)) for part, _ in stage.trains),
            optimization=dataclasses.replace(
                stage.optimization, batch_audio_seconds=self._drifted(BATCH, batch, budgets, most=math.inf)
            ),
        )

    def _drifted(self, name: str, value: float, budgets: float, most: float) -> float:
        power = self.drift.get(name)
        if not power:
            return value
        with suppress(OverflowError):
            drifted = float(f"{value * budgets**power:.4g}")
            if 0 < drifted < most:
                return drifted
        raise InputError(
            f"tuned: drift.{name}: {power:g} takes {value:g} out of (0, {most:g}) at {budgets:.3g} times at_flops"
        )
