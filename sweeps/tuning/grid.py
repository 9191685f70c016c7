"""Which settings to try next: one walk over a lattice of multipliers, the same for every strategy.

A strategy has a knob for each kind of part it trains and one for its batch, each turned in all its stages together:
rates keep the ratios that the rule gives them between stages. A point holds, for each knob, the power of the knob's
step by which its values are multiplied. Every search begins with the same multipliers for all rates at once, because
rates that are all too high or too low are the usual mistake, and with the same for the batch; then it tries the untried
points nearest to the best one. So a strategy of one part is given as many runs as one of three, and a lattice without
an end lets a search that is not done at its edge go on.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import product

from scaling.spec import Part, Stage, Strategy

RATE_STEP = math.sqrt(3.0)
"""Between neighbours of the grid. On the minis one step from the best costs about a tenth of the error, two steps up
can be divergence (results/tuning): finer steps would drown in the noise of a seed, coarser ones miss the valley."""

BATCH_STEP = 2.0
"""As much of a step for batches: on the minis twice the best batch costs a twentieth to a seventh of the error, four
times the best up to a third (results/tuning)."""

FIRST = (-2, -1, 0, 1, 2)
"""Powers of its step tried for all rates together, and for the batch: factors of 9 and 16 from end to end, around the
rule."""

Point = tuple[int, ...]
"""A power of its step for each knob."""

Scores = Mapping[Point, float]
"""Error rate on dev of each point tried; infinite where training diverged."""


class Knob(StrEnum):
    """What is turned together: the rates of like parts, or the batches."""

    ENCODER = "encoder"
    PROJECTOR = "projector"
    LLM = "llm"
    BATCH = "batch"

    @property
    def step(self) -> float:
        """Between its neighbours on the grid."""
        return BATCH_STEP if self is Knob.BATCH else RATE_STEP


RATES = (Knob.ENCODER, Knob.PROJECTOR, Knob.LLM)

TURNS = {
    Part.ENCODER: Knob.ENCODER,
    Part.ENCODER_LORA: Knob.ENCODER,
    Part.ASR_DECODER: Knob.ENCODER,
    Part.PROJECTOR: Knob.PROJECTOR,
    Part.LLM_LORA: Knob.LLM,
    Part.LLM: Knob.LLM,
}


def knobs_of(strategy: Strategy) -> tuple[Knob, ...]:
    """The knobs of a strategy, in their order."""
    turned = {TURNS[part] for stage in strategy.stages for part in stage.parts}
    return tuple(knob for knob in Knob if knob in turned or knob is Knob.BATCH)


def turned(strategy: Strategy, factors: Mapping[Knob, float]) -> Strategy:
    """The strategy with its rates and batches so many times theirs, under a name that says so if any is turned."""
    if all(factor == 1.0 for factor in factors.values()):
        return strategy
    name = ",".join(f"{knob}x{factor:.3g}" for knob, factor in factors.items())
    stages = tuple(_turned(stage, factors) for stage in strategy.stages)
    return Strategy(name=f"{strategy.name}@{name}", stages=stages)


def multipliers(knobs: Sequence[Knob], point: Point) -> dict[Knob, float]:
    """What the rates or batches of each knob are multiplied by."""
    return {knob: knob.step**power for knob, power in zip(knobs, point, strict=True)}


def first_points(knobs: Sequence[Knob]) -> list[Point]:
    """Where every search begins: all rates together at each of `FIRST`, then the batch alone."""
    points = [
        tuple(power if knob in moved else 0 for knob in knobs) for moved in (RATES, (Knob.BATCH,)) for power in FIRST
    ]
    return list(dict.fromkeys(points))


def nearest(centre: Point, count: int, worth: Callable[[Point], bool]) -> list[Point]:
    """The `count` points nearest to `centre` that are `worth` a trial, single knobs up and down before two together."""
    found: list[Point] = []
    distance = 0
    while len(found) < count:
        distance += 1
        found += filter(worth, _at_distance(centre, distance))
    return found[:count]


def best_point(scores: Scores) -> Point:
    """The point of the lowest error, of equals the lowest rates."""
    return min(scores, key=lambda point: (scores[point], point))


def edges(scores: Scores) -> list[tuple[int, Point]]:
    """Where the best power of a knob is the lowest or the highest tried: the knob's position, and the point beyond."""
    best = best_point(scores)
    tried = list(zip(*scores, strict=True))
    return [
        (i, (*best[:i], best[i] + move, *best[i + 1 :]))
        for i, powers in enumerate(tried)
        for move, end in ((-1, min(powers)), (1, max(powers)))
        if best[i] == end
    ]


def _turned(stage: Stage, factors: Mapping[Knob, float]) -> Stage:
    trains = tuple((part, _times(rate, factors[TURNS[part]])) for part, rate in stage.trains)
    batch = _times(stage.optimization.batch_audio_seconds, factors.get(Knob.BATCH, 1.0))
    optimization = dataclasses.replace(stage.optimization, batch_audio_seconds=batch)
    return dataclasses.replace(stage, trains=trains, optimization=optimization)


def _times(value: float, factor: float) -> float:
    """Four digits; what is not turned stays as it is, so that its nodes are those of the study."""
    return value if factor == 1.0 else float(f"{value * factor:.4g}")


def _at_distance(centre: Point, distance: int) -> Iterator[Point]:
    """Points that many single steps away: the fewer knobs turned the earlier."""
    moves = [
        move for move in product(range(-distance, distance + 1), repeat=len(centre)) if sum(map(abs, move)) == distance
    ]
    for move in sorted(moves, key=lambda move: (sum(map(bool, move)), [-abs(step) for step in move], move)):
        yield tuple(at + step for at, step in zip(centre, move, strict=True))
