"""Which learning rates to try next: one walk over a lattice of multipliers, the same for every strategy.

A strategy has a knob for each kind of part it trains, in all its stages together: rates keep the ratios that the rule
gives them between stages. A point holds, for each knob, the power of `STEP` by which its rates are multiplied. Every
search begins with the same multipliers for all knobs at once, because rates that are all too high or too low are the
usual mistake; then it tries the untried points nearest to the best one. So a strategy of one part is given as many
runs as one of three, and a lattice without an end lets a search that is not done at its edge go on.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from enum import StrEnum
from itertools import product

from scaling.spec import Part, Stage, Strategy

STEP = math.sqrt(3.0)
"""Between neighbours of the grid. On the minis one step from the best costs about a tenth of the error, two steps up
can be divergence (results/tuning): finer steps would drown in the noise of a seed, coarser ones miss the valley."""

FIRST = (-2, -1, 0, 1, 2)
"""Powers of `STEP` tried for all knobs together: a factor of 9 from end to end, around the rule."""

Point = tuple[int, ...]
"""A power of `STEP` for each knob."""

Scores = Mapping[Point, float]
"""Error rate on dev of each point tried; infinite where training diverged."""


class Knob(StrEnum):
    """Parts whose rates move together."""

    ENCODER = "encoder"
    PROJECTOR = "projector"
    LLM = "llm"


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
    return tuple(knob for knob in Knob if knob in turned)


def turned(strategy: Strategy, point: Point) -> Strategy:
    """The strategy with its rates multiplied as `point` says, under a name that says so; the origin keeps its name."""
    if not any(point):
        return strategy
    factors = multipliers(strategy, point)
    name = ",".join(f"{knob}x{factor:.3g}" for knob, factor in factors.items())
    stages = tuple(_turned(stage, factors) for stage in strategy.stages)
    return Strategy(name=f"{strategy.name}@{name}", stages=stages)


def multipliers(strategy: Strategy, point: Point) -> dict[Knob, float]:
    """What the rates of each knob are multiplied by."""
    return dict(zip(knobs_of(strategy), (STEP**power for power in point), strict=True))


def first_points(knobs: int) -> list[Point]:
    """Where every search begins."""
    return [(power,) * knobs for power in FIRST]


def next_points(scores: Scores, count: int) -> list[Point]:
    """The `count` untried points nearest to the best, single knobs up and down before any two together."""
    best = best_point(scores)
    found: list[Point] = []
    distance = 0
    while len(found) < count:
        distance += 1
        found += [point for point in _at_distance(best, distance) if point not in scores]
    return found[:count]


def best_point(scores: Scores) -> Point:
    """The point of the lowest error, of equals the lowest rates."""
    return min(scores, key=lambda point: (scores[point], point))


def edges(scores: Scores) -> tuple[int, ...]:
    """Positions of the knobs whose best power is the lowest or the highest that was tried."""
    best = best_point(scores)
    tried = zip(*scores, strict=True)
    return tuple(i for i, powers in enumerate(tried) if best[i] in (min(powers), max(powers)))


def _turned(stage: Stage, factors: Mapping[Knob, float]) -> Stage:
    trains = tuple((part, _times(rate, factors[TURNS[part]])) for part, rate in stage.trains)
    return dataclasses.replace(stage, trains=trains)


def _times(rate: float, factor: float) -> float:
    """Four digits; a rate that is not turned stays as it is, so that its nodes are those of the study."""
    return rate if factor == 1.0 else float(f"{rate * factor:.4g}")


def _at_distance(centre: Point, distance: int) -> Iterator[Point]:
    """Points that many single steps away: the fewer knobs turned the earlier."""
    moves = [
        move for move in product(range(-distance, distance + 1), repeat=len(centre)) if sum(map(abs, move)) == distance
    ]
    for move in sorted(moves, key=lambda move: (sum(map(bool, move)), [-abs(step) for step in move], move)):
        yield tuple(at + step for at, step in zip(centre, move, strict=True))
