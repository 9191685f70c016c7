"""The search of one strategy at one budget: what was tried, what comes next, and which batches are worth a trial."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from scaling.spec import SAMPLE_RATE, RunSpec, Strategy
from sweeps.plan.stage_consumption import StageConsumptions, stage_consumptions
from sweeps.study.study import Study
from sweeps.study.study_model import StudyModel
from sweeps.tuning.grid import (
    DevErrors,
    GridPoint,
    Hyperparameter,
    best_point,
    hyperparameters_of,
    initial_points,
    multipliers,
    nearest_points,
    points_beyond_edges,
    with_multipliers,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchState:
    """The search of one strategy on one model at one budget.

    A grid point holds a power for each of `hyperparameters`. `batch_range` holds the smallest and the largest
    multiplier of the batch that is worth a trial; the multiplier 1 always is. `dev_errors` are geometric means over
    seeds.
    """

    model: StudyModel
    strategy: Strategy
    budget_flops: int
    hyperparameters: tuple[Hyperparameter, ...]
    batch_range: tuple[float, float] = (0.0, math.inf)
    dev_errors: DevErrors = dataclasses.field(default_factory=dict)

    def points(self, count: int) -> tuple[GridPoint, ...]:
        """The points tried so far and the next ones, `count` in all."""
        tried = list(self.dev_errors) or [
            point for point in initial_points(self.hyperparameters) if self._allows(point)
        ]
        centre = best_point(self.dev_errors) if self.dev_errors else (0,) * len(self.hyperparameters)
        further = nearest_points(centre, count - len(tried), lambda point: point not in tried and self._allows(point))
        return (*tried, *further)

    def runs(self, study: Study, point: GridPoint) -> list[RunSpec]:
        """The runs of a point, one for each seed."""
        strategy = with_multipliers(self.strategy, multipliers(self.hyperparameters, point))
        return [study.run(self.model, strategy, self.budget_flops, seed) for seed in study.seeds]

    @property
    def at_edge(self) -> frozenset[Hyperparameter]:
        """Hyperparameters whose best value is the lowest or highest tried; the smallest possible batch is no edge."""
        smallest, _ = self.batch_range
        return frozenset(
            self.hyperparameters[i]
            for i, beyond in points_beyond_edges(self.dev_errors)
            if self._batch_multiplier(beyond) >= smallest
        )

    @property
    def can_widen(self) -> bool:
        """Whether a point beyond an edge is worth a trial."""
        return any(self._allows(beyond) for _, beyond in points_beyond_edges(self.dev_errors))

    def _allows(self, point: GridPoint) -> bool:
        """Whether the batch of a point is worth a trial."""
        smallest, largest = self.batch_range
        return self._batch_multiplier(point) == 1.0 or smallest <= self._batch_multiplier(point) <= largest

    def _batch_multiplier(self, point: GridPoint) -> float:
        return multipliers(self.hyperparameters, point).get(Hyperparameter.BATCH, 1.0)


def initial_states(study: Study, searched: Sequence[Hyperparameter]) -> list[SearchState]:
    """The searches of every strategy on every model, at each budget in turn, before their first round."""
    states = [
        SearchState(
            model=model,
            strategy=strategy,
            budget_flops=budget,
            hyperparameters=tuple(kind for kind in hyperparameters_of(strategy) if kind in searched),
        )
        for model in study.models
        for strategy in model.strategies
        for budget in study.budgets_flops
    ]
    if Hyperparameter.BATCH not in searched:
        return states
    untuned = [run for state in states for run in state.runs(study, (0,) * len(state.hyperparameters))]
    consumptions = stage_consumptions(study, untuned)
    utterance_seconds = float(study.speech.train.samples.mean()) / SAMPLE_RATE
    return [
        dataclasses.replace(state, batch_range=_batch_range(state, consumptions, utterance_seconds)) for state in states
    ]


def _batch_range(state: SearchState, consumptions: StageConsumptions, utterance_seconds: float) -> tuple[float, float]:
    """The smallest and the largest multiplier of the strategy's batch that is worth a trial.

    The smallest batch is one average utterance. The largest leaves every stage as many steps as its warm-up has: a
    stage that ends sooner never trains at the rate it was given.
    """
    largest = math.inf
    for stage in state.strategy.stages:
        steps = stage.budget(state.budget_flops) / consumptions[state.model.spec, stage].flops_per_step
        largest = min(largest, steps / max(1, stage.optimization.warmup_steps))
    return utterance_seconds / state.strategy.stages[0].optimization.batch_audio_seconds, largest
