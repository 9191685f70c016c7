"""The search: rounds of ordinary runs at two small budgets, as many for every strategy, judged by their error on dev.

Every strategy of every model is searched by itself at each budget (`sweeps.tuning.grid`), in rounds of the same number
of points for all. While a best point lies at an edge of what was tried, and a point beyond that edge is worth a trial,
all searches go on. So the tuning of every strategy is charged the same FLOPs, however many parts the strategy trains.
Nothing is stored but the ledger: the same command finds its runs there and goes on, and one more strategy costs only
its own runs.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from scaling.errors import InputError
from scaling.ledger.ledger import Ledger
from scaling.ledger.records import RunRow
from scaling.spec import Part, RunSpec, Strategy
from scaling.strategies.tuned_settings import BATCH, TunedSettings
from scaling.system.console import log
from sweeps.plan.prepare import Prepared, prepare_runs
from sweeps.run.outcome import SweepOutcome
from sweeps.study.study import Study
from sweeps.study.study_model import StudyModel
from sweeps.tuning.grid import HYPERPARAMETER_OF_PART, RATES, Hyperparameter, with_multipliers
from sweeps.tuning.optimum_fit import OptimumEstimate, optima
from sweeps.tuning.search_state import SearchState, initial_states

ROUND_ENDS = {len(RATES): (5, 11, 14), len(Hyperparameter): (9, 15, 21)}
"""Points tried at the end of each round, by the number of hyperparameters searched: the `initial_points`, then six for
both neighbours in each of three hyperparameters, then some that follow a best point that moved. In planted parabolas
with 8 % noise, 14 points of rates alone leave 3.1 % more error than the lowest; with the batch, 21 points leave 2.6 %
and 19 points 4.4 %."""

WIDER_ROUND_ENDS = {len(RATES): (17, 20), len(Hyperparameter): (25, 29)}
"""The same for the further rounds while a best point lies at an edge; one that still lies there is then flagged."""

BUDGET_RATIO = 4
"""Ratio of the two default budgets: enough to see a drift, and the smaller one costs a fifth of the total."""

SHARE_OF_LARGEST = 10
"""The largest budget of a study over the larger default budget. Rates are used best where they were searched: in the
reference study rates from 1.6e11 FLOPs gave `efin` at 1e12 a quarter more CER than rates from there, and `joint` a
twentieth (results/reference). A search at a tenth charges a strategy as much as 2.6 runs of the largest budget."""

Train = Callable[[Prepared], SweepOutcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyTuning:
    """The result for one strategy on one model: its searches by growing budget, and an estimate per hyperparameter."""

    states: tuple[SearchState, ...]
    optima: tuple[OptimumEstimate, ...]
    charged_flops: int

    @property
    def model(self) -> StudyModel:
        """The model, with its strategies at the rates of the rule."""
        return self.states[0].model

    @property
    def strategy(self) -> Strategy:
        """The strategy at the rates of the rule."""
        return self.states[0].strategy

    @property
    def estimates(self) -> dict[Hyperparameter, OptimumEstimate]:
        """The estimate of each hyperparameter."""
        return dict(zip(self.states[0].hyperparameters, self.optima, strict=True))

    @property
    def at_edge(self) -> tuple[Hyperparameter, ...]:
        """Hyperparameters whose best value lies, at any budget, at the edge of what was tried there."""
        return tuple(kind for kind in self.estimates if any(kind in state.at_edge for state in self.states))

    @property
    def tuned(self) -> TunedSettings:
        """The best rates and batch, at the geometric mean of the budgets."""
        estimates = self.estimates
        stages = with_multipliers(self.strategy, {kind: best.multiplier for kind, best in estimates.items()}).stages
        parts = {part for stage in stages for part in stage.parts}
        kinds = [
            *((part, HYPERPARAMETER_OF_PART[part]) for part in Part if part in parts),
            (BATCH, Hyperparameter.BATCH),
        ]
        return TunedSettings(
            rates={stage.name: {part: float(f"{rate:.4g}") for part, rate in stage.trains} for stage in stages},
            batch_audio_seconds=stages[0].optimization.batch_audio_seconds
            if Hyperparameter.BATCH in estimates
            else None,
            at_flops=math.prod(state.budget_flops for state in self.states) ** (1 / len(self.states)),
            drift={name: estimates[kind].drift for name, kind in kinds if kind in estimates and estimates[kind].drift},
            tuning_flops=self.charged_flops,
            at_edge=self.at_edge,
            searched_flops=(float(self.states[0].budget_flops), float(self.states[-1].budget_flops)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningResult:
    """A finished search: `points` were tried for each strategy at each budget; all runs together took `spent_flops`."""

    study: Study
    points: int
    strategies: tuple[StrategyTuning, ...]
    spent_flops: int

    @property
    def charged_flops(self) -> int:
        """FLOPs charged to all runs, where stages that runs share count once for each run."""
        return sum(tuning.charged_flops for tuning in self.strategies)


def tune(
    study: Study,
    budgets_flops: Sequence[int],
    ledger: Ledger,
    train: Train,
    searched: Sequence[Hyperparameter] = tuple(Hyperparameter),
) -> TuningResult | SweepOutcome:
    """Search these hyperparameters of every strategy of the study on every model; `train` trains the runs of a round.

    Returns the outcome of a round that was stopped or failed: the same call then goes on from there. Raises InputError
    on budgets too small for a step.
    """
    study = dataclasses.replace(study, budgets_flops=tuple(sorted(budgets_flops)))
    states = initial_states(study, searched)
    spent_flops = 0
    while (count := _points_after_next_round(states, len(searched))) is not None:
        runs = [{point: state.runs(study, point) for point in state.points(count)} for state in states]
        every_run = [run for runs_by_point in runs for seeds in runs_by_point.values() for run in seeds]
        prepared = prepare_runs(study, every_run, ledger)
        log(_announcement(prepared, count))
        outcome = train(prepared)
        rows = {row.key: row for row in outcome.rows}
        if len(rows) < len(prepared.plan.runs):
            return outcome
        states = [
            dataclasses.replace(state, dev_errors={point: _dev_error(rows, seeds) for point, seeds in tried.items()})
            for state, tried in zip(states, runs, strict=True)
        ]
        spent_flops = prepared.plan.spent_flops
    return TuningResult(
        study=study, points=len(states[0].dev_errors), strategies=_by_strategy(study, states), spent_flops=spent_flops
    )


def tuning_budgets(study: Study, given: str | None) -> tuple[int, ...]:
    """The budgets of a search: `given` as text, or else a fortieth and a tenth of the study's largest, but not
    below its smallest.

    Raises InputError on anything but numbers above 0, each once.
    """
    if given is None:
        small = max(study.budgets_flops[0], study.budgets_flops[-1] // (SHARE_OF_LARGEST * BUDGET_RATIO))
        return (small, BUDGET_RATIO * small)
    try:
        budgets = tuple(round(float(text)) for text in given.split(","))
    except (ValueError, OverflowError):
        budgets = ()
    if not budgets or min(budgets) < 1 or len(set(budgets)) < len(budgets):
        raise InputError(f"--budgets {given!r}; expected FLOPs separated by commas, each once, for example 3e10,1.2e11")
    return budgets


def _points_after_next_round(states: Sequence[SearchState], searched: int) -> int | None:
    """How many points every search has tried after the next round; None where the search is over."""
    tried = len(states[0].dev_errors)
    wider = tried >= ROUND_ENDS[searched][-1] and any(state.can_widen for state in states)
    ends = (*ROUND_ENDS[searched], *(WIDER_ROUND_ENDS[searched] if wider else ()))
    return next((end for end in ends if end > tried), None)


def _dev_error(rows: Mapping[str, RunRow], runs: Sequence[RunSpec]) -> float:
    """The geometric mean of CER on dev over seeds; infinite where a run diverged, 0 where one made no error."""
    errors = [error for run in runs if (error := rows[run.key].dev_cer) is not None]
    if len(errors) < len(runs):
        return math.inf
    return math.exp(math.fsum(map(math.log, errors)) / len(errors)) if all(errors) else 0.0


def _by_strategy(study: Study, states: Sequence[SearchState]) -> tuple[StrategyTuning, ...]:
    budgets = len(study.budgets_flops)
    groups = [tuple(states[first : first + budgets]) for first in range(0, len(states), budgets)]
    return tuple(
        StrategyTuning(
            states=group,
            optima=optima(
                {state.budget_flops: state.dev_errors for state in group},
                [kind.step for kind in group[0].hyperparameters],
            ),
            charged_flops=sum(map(_charged_flops, group)) * len(study.seeds),
        )
        for group in groups
    )


def _charged_flops(state: SearchState) -> int:
    """FLOPs charged to the runs of a search, for one seed."""
    return len(state.dev_errors) * sum(stage.budget(state.budget_flops) for stage in state.strategy.stages)


def _announcement(prepared: Prepared, points: int) -> str:
    plan, reused = prepared.plan, prepared.reused_runs
    return (
        f"round to {points} settings a strategy and budget: {reused} runs reused, {len(plan.runs) - reused} new;"
        f" {plan.charged_flops:.3e} FLOPs charged, {plan.spent_flops:.3e} spent when it is done"
    )
