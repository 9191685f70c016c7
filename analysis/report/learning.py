"""Learning curves: the error on dev, or the training loss, of each run over the FLOPs charged to it so far.

They are in the ledger that a study was trained in. Where that is gone, or nobody looked, there are none.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from analysis.curves.traces import models_text
from scaling.errors import InputError
from scaling.ledger.plan_file import read_plan_file
from scaling.ledger.run_curve import curve_points

MOST_POINTS = 120
"""Points of one curve that a figure can show; of more, evenly chosen ones are kept."""

FEWEST_POINTS = 3
"""Points of one curve that show a course."""

Measure = Literal["dev_cer", "loss"]
MEASURES: dict[Measure, str] = {"dev_cer": "CER on dev", "loss": "training loss"}
"""What can be drawn, the more telling first, and its name on an axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """One run: its (FLOPs, value) by rising FLOPs."""

    strategy: str
    models: str
    budget: float
    seed: int
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """The curves of a study's runs, all of one measure."""

    measure: Measure
    curves: tuple[LearningCurve, ...]

    @property
    def axis(self) -> str:
        """The measure in words."""
        return MEASURES[self.measure]


def learning_of(folder: Path) -> Learning | None:
    """The learning curves of the study in `folder`: of the first measure of which most runs have a few points."""
    try:
        plan_file = read_plan_file(folder)
        histories = [(run, list(curve_points(plan_file, run))) for run in plan_file.runs]
    except InputError:  # the table of runs stands without its plan and its ledger, and so does its report
        return None
    for measure in MEASURES:
        curves = tuple(
            LearningCurve(
                strategy=run.strategy,
                models=models_text(run.encoder, run.llm),
                budget=run.budget_flops,
                seed=run.seed,
                points=points,
            )
            for run, told in histories
            if len(points := _points(told, measure)) >= FEWEST_POINTS
        )
        if 2 * len(curves) > len(histories):
            return Learning(measure=measure, curves=curves)
    return None


def _points(told: Iterable[Mapping[str, Any]], measure: Measure) -> tuple[tuple[float, float], ...]:
    every = [(float(one["flops"]), float(one[measure])) for one in told if one.get(measure) and one["flops"]]
    if len(every) <= MOST_POINTS:
        return tuple(every)
    return tuple(every[round(k * (len(every) - 1) / (MOST_POINTS - 1))] for k in range(MOST_POINTS))
