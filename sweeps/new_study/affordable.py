"""The budgets of a first study: as many as show a law, as large as can be paid, by the prices of `plan`."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from scaling.errors import InputError
from sweeps.costs.cost_estimate import CostEstimate, estimate_cost
from sweeps.costs.tariff import Tariff
from sweeps.plan.plan_warnings import ENOUGH_BUDGETS
from sweeps.plan.prepare import Prepared, prepare

BUDGETS = 5
"""Budgets half a decade apart span two decades, which is what `fit` asks for."""

FEWEST_STEPS = 50
"""A stage of the smallest budget takes at least so many steps: rates rise over the first 20 (assumption)."""


MOST_EPOCHS = 4.0
"""Budgets grow until a run hears its training audio more often: up to four passes are worth almost as much as fresh
data (Muennighoff et al. 2023).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """The most that a study may cost: one of training FLOPs, device-hours and dollars, and the option that said so."""

    option: str
    unit: str
    most: float
    cost: Callable[[CostEstimate], float | None]

    def of(self, costs: CostEstimate) -> float:
        """The cost of a study in this currency. Raises InputError where no price is known."""
        cost = self.cost(costs)
        if cost is None:
            raise InputError(
                f"{self.option}: no price of {costs.rent.device} is known; give --hardware or --usd-per-hour"
            )
        return cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Affordable:
    """Budgets, the study with them as it was planned, and what it costs."""

    budgets: tuple[float, ...]
    prepared: Prepared
    costs: CostEstimate

    @property
    def epochs(self) -> float:
        """How often the run that hears most audio hears the training set."""
        runs = [run.spec for run in self.prepared.plan.runs]
        consumptions = self.prepared.consumptions
        seconds = [
            sum(
                stage.budget(run.budget_flops) / consumptions[run.model, stage].flops_per_audio_second
                for stage in run.strategy.stages
            )
            for run in runs
        ]
        return max(seconds) / (3600 * self.prepared.study.speech.train.hours)


def affordable_budgets(text_of: Callable[[Sequence[float]], str], spend: Spend, tariff: Tariff) -> Affordable:
    """The largest budgets whose study costs no more than `spend`.

    `text_of` gives the study as YAML that means the same in any folder. Raises InputError where not even
    `ENOUGH_BUDGETS` budgets can be paid that give every stage `FEWEST_STEPS`.
    """
    with TemporaryDirectory() as folder:
        file = Path(folder) / "study.yaml"

        def planned(budgets: Sequence[float]) -> Affordable:
            file.write_text(text_of(budgets), "utf-8")
            try:
                prepared = prepare(str(file), [], None)
            except InputError as error:
                raise InputError(_without(folder, str(error))) from None
            return Affordable(budgets=tuple(budgets), prepared=prepared, costs=estimate_cost(prepared, None, tariff))

        smallest = _smallest_budget(planned([1e28]).prepared)
        ladder = [smallest * 10 ** (step / 2) for step in range(ENOUGH_BUDGETS)]
        tried = planned([_rung(value) for value in ladder])
        if (cost := spend.of(tried.costs)) > spend.most:
            raise InputError(
                f"{spend.option} {spend.most:g}: too little for {ENOUGH_BUDGETS} budgets of which the smallest, "
                f"{tried.budgets[0]:g} FLOPs, gives every stage {FEWEST_STEPS} steps; such a study costs {cost:.3g} "
                f"{spend.unit}; expected more to spend, or smaller models"
            )
        best = tried
        while spend.of(tried.costs) <= spend.most:
            best = tried
            if best.epochs > MOST_EPOCHS:
                break
            rungs = [_rung(value * math.sqrt(10)) for value in best.budgets]
            tried = planned(rungs if len(rungs) == BUDGETS else [best.budgets[0], *rungs])
        return best


def _without(folder: str, message: str) -> str:
    """A message about the study without the place where it was planned, which is gone."""
    named = re.sub(rf"{re.escape(folder)}/study\.yaml(:\d+)?", "init", message)
    return named.replace(str(Path(folder).resolve()), str(Path.cwd()))


def _smallest_budget(prepared: Prepared) -> float:
    """The least of 1, 3, 10, 30, ... FLOPs that give every stage of every strategy `FEWEST_STEPS`."""
    least = max(
        FEWEST_STEPS * prepared.consumptions[run.spec.model, stage].flops_per_step / (stage.share or 1.0)
        for run in prepared.plan.runs
        for stage in run.spec.strategy.stages
    )
    nearest = _rung(least)
    return nearest if nearest >= least else _rung(nearest * math.sqrt(10))


def _rung(flops: float) -> float:
    """The nearest of 1, 3, 10, 30, ... FLOPs.

    >>> _rung(2.9e17), _rung(1.2e18)
    (3e+17, 1e+18)
    """
    decade = math.floor(math.log10(flops))
    options = [float(f"{digit}e{decade + more}") for digit in (1, 3) for more in (0, 1)]
    return min(options, key=lambda option: abs(math.log(option / flops)))
