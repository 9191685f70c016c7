"""Which settings to try next: a grid of multipliers, searched in the same way for every strategy.

A strategy has one hyperparameter for the rate of each kind of part that it trains, and one for its batch. Each is
multiplied in all stages of the strategy together, so rates keep their ratios between stages. A grid point holds, for
each hyperparameter, the power of the hyperparameter's step by which its values are multiplied. Every search begins with
the same multipliers for all rates at once, because rates that are all too high or too low are the usual mistake, and
with the same multipliers for the batch. Then it tries the untried points nearest to the best one. So a strategy that
trains one part gets as many runs as one that trains three. The grid has no end: a search whose best point lies at the
edge of what was tried can go on beyond that edge.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import product

from scaling.spec import Part, Stage, Strategy

RATE_STEP = math.sqrt(3.0)
"""Ratio of rates at neighbouring grid points. On the minis one step from the best rate costs about a tenth of the
error, and two steps up can diverge (results/tuning): the noise of a seed would hide finer steps, and coarser ones could
miss the lowest error."""

BATCH_STEP = 2.0
"""Ratio of batches at neighbouring grid points: on the minis twice the best batch costs a twentieth to a seventh of the
error, four times the best up to a third (results/tuning)."""

INITIAL_POWERS = (-2, -1, 0, 1, 2)
"""Powers of the steps tried first, for all rates together and for the batch: from end to end factors of 9 and 16."""

GridPoint = tuple[int, ...]
"""For each hyperparameter the power of its step."""

DevErrors = Mapping[GridPoint, float]
"""CER on dev of each grid point tried; infinite where training diverged."""


class Hyperparameter(StrEnum):
    """What is searched: the rates of one kind of part in all stages, or the batch. Documents call it a knob."""

    ENCODER = "encoder"
    PROJECTOR = "projector"
    LLM = "llm"
    BATCH = "batch"

    @property
    def step(self) -> float:
        """The ratio of its values at neighbouring grid points."""
        return BATCH_STEP if self is Hyperparameter.BATCH else RATE_STEP


RATES = (Hyperparameter.ENCODER, Hyperparameter.PROJECTOR, Hyperparameter.LLM)

HYPERPARAMETER_OF_PART = {
    Part.ENCODER: Hyperparameter.ENCODER,
    Part.ENCODER_LORA: Hyperparameter.ENCODER,
    Part.ASR_DECODER: Hyperparameter.ENCODER,
    Part.PROJECTOR: Hyperparameter.PROJECTOR,
    Part.LLM_LORA: Hyperparameter.LLM,
    Part.LLM: Hyperparameter.LLM,
}


def hyperparameters_of(strategy: Strategy) -> tuple[Hyperparameter, ...]:
    """The hyperparameters of a strategy, in the order of `Hyperparameter`."""
    trained = {HYPERPARAMETER_OF_PART[part] for stage in strategy.stages for part in stage.parts}
    return tuple(kind for kind in Hyperparameter if kind in trained or kind is Hyperparameter.BATCH)


def with_multipliers(strategy: Strategy, factors: Mapping[Hyperparameter, float]) -> Strategy:
    """The strategy with its rates and batches multiplied; its name then lists the factors. Unchanged if all are 1."""
    if all(factor == 1.0 for factor in factors.values()):
        return strategy
    name = ",".join(f"{kind}x{factor:.3g}" for kind, factor in factors.items())
    stages = tuple(_stage_with_multipliers(stage, factors) for stage in strategy.stages)
    return Strategy(name=f"{strategy.name}@{name}", stages=stages)


def multipliers(hyperparameters: Sequence[Hyperparameter], point: GridPoint) -> dict[Hyperparameter, float]:
    """The multiplier of each hyperparameter at a grid point."""
    return {kind: kind.step**power for kind, power in zip(hyperparameters, point, strict=True)}


def initial_points(hyperparameters: Sequence[Hyperparameter]) -> list[GridPoint]:
    """Where every search begins: all rates together at each of `INITIAL_POWERS`, then the batch alone."""
    points = [
        tuple(power if kind in multiplied else 0 for kind in hyperparameters)
        for multiplied in (RATES, (Hyperparameter.BATCH,))
        for power in INITIAL_POWERS
    ]
    return list(dict.fromkeys(points))


def nearest_points(centre: GridPoint, count: int, is_allowed: Callable[[GridPoint], bool]) -> list[GridPoint]:
    """The `count` allowed points nearest to `centre`: those that differ in one hyperparameter before those in two."""
    points: list[GridPoint] = []
    distance = 0
    while len(points) < count:
        distance += 1
        points += filter(is_allowed, _points_at_distance(centre, distance))
    return points[:count]


def best_point(dev_errors: DevErrors) -> GridPoint:
    """The point of the lowest error; among equal errors that of the lowest rates."""
    return min(dev_errors, key=lambda point: (dev_errors[point], point))


def points_beyond_edges(dev_errors: DevErrors) -> list[tuple[int, GridPoint]]:
    """For each hyperparameter whose best power is the lowest or the highest tried: its index and the point beyond."""
    best = best_point(dev_errors)
    tried = list(zip(*dev_errors, strict=True))
    return [
        (i, (*best[:i], best[i] + move, *best[i + 1 :]))
        for i, powers in enumerate(tried)
        for move, end in ((-1, min(powers)), (1, max(powers)))
        if best[i] == end
    ]


def _stage_with_multipliers(stage: Stage, factors: Mapping[Hyperparameter, float]) -> Stage:
    trains = tuple((part, _times(rate, factors[HYPERPARAMETER_OF_PART[part]])) for part, rate in stage.trains)
    batch = _times(stage.optimization.batch_audio_seconds, factors.get(Hyperparameter.BATCH, 1.0))
    optimization = dataclasses.replace(stage.optimization, batch_audio_seconds=batch)
    return dataclasses.replace(stage, trains=trains, optimization=optimization)


def _times(value: float, factor: float) -> float:
    """The product, to four digits. With a factor of 1 the value stays as it is, so that runs keep the study's nodes."""
    return value if factor == 1.0 else float(f"{value * factor:.4g}")


def _points_at_distance(centre: GridPoint, distance: int) -> Iterator[GridPoint]:
    """Points `distance` single steps away; those that differ in fewer hyperparameters come first."""
    moves = [
        move for move in product(range(-distance, distance + 1), repeat=len(centre)) if sum(map(abs, move)) == distance
    ]
    for move in sorted(moves, key=lambda move: (sum(map(bool, move)), [-abs(step) for step in move], move)):
        yield tuple(at + step for at, step in zip(centre, move, strict=True))
