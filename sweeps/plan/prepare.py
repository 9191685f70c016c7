"""From the text of a study to its plan. `plan` and `run` both pass here, so that the plan that is shown is the one that
runs.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from scaling.cost.too_long import refuse_too_long
from scaling.ledger.ledger import Ledger
from scaling.spec import RunSpec
from sweeps.plan.hearing_onsets import BelowOnset, budgets_below_onset
from sweeps.plan.plan import Plan, plan_runs
from sweeps.plan.stage_consumption import StageConsumptions, refuse_small_budgets, stage_consumptions
from sweeps.plan.write_plan import finished_elsewhere, is_done, to_revive
from sweeps.study.study import Study, load_study


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A study, its plan, what its stages consume, which of its nodes are finished already, and which budgets lie below
    an onset of hearing. `since` is when its preparation began, in seconds since 1970 by the clock of the ledger.
    """

    study: Study
    plan: Plan
    consumptions: StageConsumptions
    done: frozenset[str]
    below_onset: list[BelowOnset]
    since: float

    @property
    def reused_runs(self) -> int:
        """Runs that are finished already."""
        return sum(run.end in self.done for run in self.plan.runs)


def prepare(argument: str, overrides: Sequence[str], ledger: Ledger | None) -> Prepared:
    """Load, check and plan a study against what `ledger` holds. Raises InputError; writes nothing but caches."""
    since = _now(ledger)
    study = load_study(argument, overrides)
    return prepare_runs(study, enumerate_runs(study), ledger, since)


def prepare_runs(study: Study, runs: Iterable[RunSpec], ledger: Ledger | None, since: float | None = None) -> Prepared:
    """A plan of these runs, which are of the study's models and data. Raises InputError as `prepare` does."""
    since = _now(ledger) if since is None else since
    refuse_too_long(study.models, [manifest for _, manifest in study.speech.named])
    specs = tuple(runs)
    consumptions = stage_consumptions(study, specs)
    refuse_small_budgets(specs, consumptions)
    plan = plan_runs(specs)
    done = frozenset(key for key in plan.nodes if ledger is not None and is_done(ledger, key))
    if ledger is not None:
        if elsewhere := finished_elsewhere(ledger, plan):
            plan = plan_runs(specs, elsewhere)
        done -= to_revive(plan, ledger)
    below_onset = budgets_below_onset(plan.runs, done, ledger)
    return Prepared(study=study, plan=plan, consumptions=consumptions, done=done, below_onset=below_onset, since=since)


def _now(ledger: Ledger | None) -> float:
    return time.time() if ledger is None else ledger.now()


def enumerate_runs(study: Study) -> Iterator[RunSpec]:
    """The runs of a study, by model, strategy, budget and seed."""
    for model in study.models:
        for strategy in model.strategies:
            for budget_flops in study.budgets_flops:
                tuned = model.strategy_at(strategy, budget_flops)
                for seed in study.seeds:
                    yield study.run(model, tuned, budget_flops, seed)
