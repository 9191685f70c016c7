"""The search: rounds of ordinary runs at two small budgets, as many for every strategy, judged by their error on dev.

Every strategy of every model walks by itself at each budget (`sweeps.tuning.grid`), in rounds of as many points;
while a best lies at an edge of what was tried that can be moved, all walk on. So the same is charged to the tuning of
every strategy, however many parts it trains. Nothing is kept but the ledger: the same command finds its runs there and
goes on where it was, and one more strategy costs its own runs alone.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from scaling.console import log
from scaling.errors import InputError
from scaling.ledger.ledger import Ledger
from scaling.ledger.records import RunRow
from scaling.spec import Part, RunSpec, Strategy
from sweeps.plan.prepare import Prepared, prepare_runs
from sweeps.run.run import Outcome
from sweeps.study.study import Study, StudyModel
from sweeps.study.tuned_settings import BATCH, TunedSettings
from sweeps.tuning.grid import RATES, TURNS, Knob, Point, turned
from sweeps.tuning.optimum_fit import Optimum, optima
from sweeps.tuning.search_state import Walk, walks_of

ENDS = {len(RATES): (5, 11, 14), len(Knob): (9, 15, 21)}
"""Points tried at the end of each round, by the knobs that are searched: those of `first_points`, six that are both
neighbours in each of three knobs, and some that follow a best that moved. Of planted valleys with 8 % noise, 14 points
of rates alone leave 3.1 % more error than the lowest, 21 with the batch 2.6 %, 19 of them 4.4 %."""

WIDER_ENDS = {len(RATES): (17, 20), len(Knob): (25, 29)}
"""The same for the rounds in which all walk on while a best lies at an edge; what lies there still is flagged."""

BUDGET_RATIO = 4
"""Between the budgets where none are given: far enough to see a drift, the smaller one a fifth of the cost."""

Train = Callable[[Prepared], Outcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the walks of one strategy on one model found, by growing budget, with an optimum for each knob."""

    walks: tuple[Walk, ...]
    optima: tuple[Optimum, ...]
    charged_flops: int

    @property
    def model(self) -> StudyModel:
        """The model, with its strategies at the rates of the rule."""
        return self.walks[0].model

    @property
    def strategy(self) -> Strategy:
        """The strategy at the rates of the rule."""
        return self.walks[0].strategy

    @property
    def at_edge(self) -> tuple[Knob, ...]:
        """Knobs whose best lies, at a budget, at the edge of what was tried there."""
        return tuple(knob for knob in self.walks[0].knobs if any(knob in walk.at_edge for walk in self.walks))

    @property
    def tuned(self) -> TunedSettings:
        """The rates and the batch found, at the geometric mean of the budgets."""
        best = dict(zip(self.walks[0].knobs, self.optima, strict=True))
        stages = turned(self.strategy, {knob: optimum.multiplier for knob, optimum in best.items()}).stages
        parts = {part for stage in stages for part in stage.parts}
        turns = [*((part, TURNS[part]) for part in Part if part in parts), (BATCH, Knob.BATCH)]
        return TunedSettings(
            rates={stage.name: {part: float(f"{rate:.4g}") for part, rate in stage.trains} for stage in stages},
            batch_audio_seconds=stages[0].optimization.batch_audio_seconds if Knob.BATCH in best else None,
            at_flops=math.prod(walk.budget_flops for walk in self.walks) ** (1 / len(self.walks)),
            drift={name: best[knob].drift for name, knob in turns if knob in best and best[knob].drift},
            tuning_flops=self.charged_flops,
            at_edge=self.at_edge,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """A finished search: `points` were tried for each strategy at each budget, `spent_flops` is what all runs cost."""

    study: Study
    points: int
    found: tuple[Found, ...]
    spent_flops: int

    @property
    def charged_flops(self) -> int:
        """FLOPs charged to all runs; what they share is spent once."""
        return sum(found.charged_flops for found in self.found)


def tune(
    study: Study, budgets_flops: Sequence[int], ledger: Ledger, train: Train, searched: Sequence[Knob] = tuple(Knob)
) -> Tuning | Outcome:
    """Search the knobs of every strategy of the study on every model; `train` does the runs of a round.

    Returns the outcome of a round that was stopped or failed: the same call goes on from there. Raises InputError on
    budgets too small for a step.
    """
    study = dataclasses.replace(study, budgets_flops=tuple(sorted(budgets_flops)))
    walks = walks_of(study, searched)
    spent_flops = 0
    while (end := _next_end(walks, len(searched))) is not None:
        asked = [walk.asked(end) for walk in walks]
        runs = [{point: walk.runs(study, point) for point in points} for walk, points in zip(walks, asked, strict=True)]
        prepared = prepare_runs(study, [run for tried in runs for run in _flat(tried)], ledger)
        log(_announcement(prepared, end))
        outcome = train(prepared)
        rows = {row.key: row for row in outcome.rows}
        if len(rows) < len(prepared.plan.runs):
            return outcome
        walks = [
            dataclasses.replace(walk, scores={point: _score(rows, tried[point]) for point in tried})
            for walk, tried in zip(walks, runs, strict=True)
        ]
        spent_flops = prepared.plan.spent_flops
    return Tuning(study=study, points=len(walks[0].scores), found=_found(study, walks), spent_flops=spent_flops)


def tuning_budgets(study: Study, given: str | None) -> tuple[int, ...]:
    """The budgets of a search: `given` as text, or the study's smallest and `BUDGET_RATIO` times that.

    Raises InputError on anything but numbers above 0, each once.
    """
    if given is None:
        return (study.budgets_flops[0], BUDGET_RATIO * study.budgets_flops[0])
    try:
        budgets = tuple(round(float(text)) for text in given.split(","))
    except (ValueError, OverflowError):
        budgets = ()
    if not budgets or min(budgets) < 1 or len(set(budgets)) < len(budgets):
        raise InputError(f"--budgets {given!r}; expected FLOPs separated by commas, each once, for example 3e10,1.2e11")
    return budgets


def _next_end(walks: Sequence[Walk], searched: int) -> int | None:
    """How many points every walk has after the next round; None where the search is over."""
    tried = len(walks[0].scores)
    wider = tried >= ENDS[searched][-1] and any(walk.goes_on for walk in walks)
    return next((end for end in (*ENDS[searched], *(WIDER_ENDS[searched] if wider else ())) if end > tried), None)


def _flat(runs: Mapping[Point, list[RunSpec]]) -> list[RunSpec]:
    return [run for seeds in runs.values() for run in seeds]


def _score(rows: Mapping[str, RunRow], runs: Sequence[RunSpec]) -> float:
    """The geometric mean of dev CER over seeds; infinite where one diverged, 0 where one made no error."""
    errors = [error for run in runs if (error := rows[run.key].dev_cer) is not None]
    if len(errors) < len(runs):
        return math.inf
    return math.exp(math.fsum(map(math.log, errors)) / len(errors)) if all(errors) else 0.0


def _found(study: Study, walks: Sequence[Walk]) -> tuple[Found, ...]:
    budgets = len(study.budgets_flops)
    groups = [tuple(walks[first : first + budgets]) for first in range(0, len(walks), budgets)]
    return tuple(
        Found(
            walks=group,
            optima=optima({walk.budget_flops: walk.scores for walk in group}, [knob.step for knob in group[0].knobs]),
            charged_flops=sum(_charged(walk) for walk in group) * len(study.seeds),
        )
        for group in groups
    )


def _charged(walk: Walk) -> int:
    return len(walk.scores) * sum(stage.budget(walk.budget_flops) for stage in walk.strategy.stages)


def _announcement(prepared: Prepared, end: int) -> str:
    plan, reused = prepared.plan, prepared.reused_runs
    return (
        f"round to {end} settings a strategy and budget: {reused} runs reused, {len(plan.runs) - reused} new;"
        f" {plan.charged_flops:.3e} FLOPs charged, {plan.spent_flops:.3e} spent when it is done"
    )
