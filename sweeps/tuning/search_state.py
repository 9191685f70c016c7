"""One strategy's walk over its settings at one budget, and which batches are worth a trial on it."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from scaling.spec import SAMPLE_RATE, RunSpec, Strategy
from sweeps.plan.stage_consumption import StageConsumptions, stage_consumptions
from sweeps.study.study import Study
from sweeps.study.study_model import StudyModel
from sweeps.tuning.grid import (
    Knob,
    Point,
    Scores,
    best_point,
    edges,
    first_points,
    knobs_of,
    multipliers,
    nearest,
    turned,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """One strategy on one model at one budget. `scores` are dev CERs, means in the log over seeds.

    Each number of a point turns one of `knobs`. `batches` are the smallest and the largest multiple of the strategy's
    batch that is worth a trial; its own is in any case.
    """

    model: StudyModel
    strategy: Strategy
    budget_flops: int
    knobs: tuple[Knob, ...]
    batches: tuple[float, float] = (0.0, math.inf)
    scores: Scores = dataclasses.field(default_factory=dict)

    def asked(self, end: int) -> tuple[Point, ...]:
        """The points tried and the next ones, `end` in all."""
        tried = list(self.scores) or [point for point in first_points(self.knobs) if self._worth(point)]
        centre = best_point(self.scores) if self.scores else (0,) * len(self.knobs)
        more = nearest(centre, end - len(tried), lambda point: point not in tried and self._worth(point))
        return (*tried, *more)

    def runs(self, study: Study, point: Point) -> list[RunSpec]:
        """The runs of a point, one a seed."""
        strategy = turned(self.strategy, multipliers(self.knobs, point))
        return [
            RunSpec(
                model=self.model.spec,
                strategy=strategy,
                budget_flops=self.budget_flops,
                data=self.model.data(study.speech.spec),
                seed=seed,
                precision=study.precision,
            )
            for seed in study.seeds
        ]

    @property
    def at_edge(self) -> frozenset[Knob]:
        """Knobs whose best is the lowest or the highest tried, the smallest batch there is excepted."""
        smallest, _ = self.batches
        return frozenset(self.knobs[i] for i, beyond in edges(self.scores) if self._batch(beyond) >= smallest)

    @property
    def goes_on(self) -> bool:
        """Whether a point beyond an edge is worth a trial."""
        return any(self._worth(beyond) for _, beyond in edges(self.scores))

    def _worth(self, point: Point) -> bool:
        smallest, largest = self.batches
        return self._batch(point) == 1.0 or smallest <= self._batch(point) <= largest

    def _batch(self, point: Point) -> float:
        return multipliers(self.knobs, point).get(Knob.BATCH, 1.0)


def walks_of(study: Study, searched: Sequence[Knob]) -> list[Walk]:
    """The walks of every strategy on every model, at each budget in turn, before their first step."""
    walks = [
        Walk(
            model=model,
            strategy=strategy,
            budget_flops=budget,
            knobs=tuple(knob for knob in knobs_of(strategy) if knob in searched),
        )
        for model in study.models
        for strategy in model.strategies
        for budget in study.budgets_flops
    ]
    if Knob.BATCH not in searched:
        return walks
    eaten = stage_consumptions(study, [run for walk in walks for run in walk.runs(study, (0,) * len(walk.knobs))])
    utterance = float(study.speech.train.samples.mean()) / SAMPLE_RATE
    return [dataclasses.replace(walk, batches=_batches(walk, eaten, utterance)) for walk in walks]


def _batches(walk: Walk, eaten: StageConsumptions, utterance: float) -> tuple[float, float]:
    """From an average utterance, since a batch is one at least, to what leaves every stage as many steps as it warms up
    for: a stage that ends before never trains at the rate it was given. In multiples of the strategy's batch.
    """
    largest = math.inf
    for stage in walk.strategy.stages:
        steps = stage.budget(walk.budget_flops) / eaten[walk.model.spec, stage].flops_per_step
        largest = min(largest, steps / max(1, stage.optimization.warmup_steps))
    return utterance / walk.strategy.stages[0].optimization.batch_audio_seconds, largest
