"""Findings: everything that a report says about a study, worked out once. `figures` draws it, `page` tells it."""

import math
from dataclasses import dataclass
from pathlib import Path

from analysis.comparing.compare import compare_all
from analysis.comparing.compare_curves import compare_curves
from analysis.comparing.comparison import Comparison
from analysis.curves.curves import Curves, lowest
from analysis.curves.fits import Fits
from analysis.curves.fits_file import fits_of, new_fits
from analysis.curves.forecast_check import Forecast, read_forecasts
from analysis.curves.traces import PlottedPoint, Trace, traces_of
from analysis.notes import Note
from analysis.recommending.best_for_budget import recommend_for_flops
from analysis.recommending.recommendation import Recommendation
from analysis.registering.outcome import ForecastScore, score_registered
from analysis.registering.record import FORECASTS_FILE
from analysis.report.learning import Learning, learning_of
from analysis.tables.choice import EVERYTHING, Choice
from analysis.tables.table import Table
from analysis.tables.understanding.column_names import error_name
from analysis.tables.usable_rows import ERROR
from scaling.system.progress_line import announce_if_slow

USUAL_BASELINE = "joint"
"""Standard joint post-training is what labs do today, so other strategies are measured against it."""
HORIZON = 10.0
"""Laws are drawn to this many times the largest budget, where `predict` starts to warn."""
MARGIN = 1.5
"""The drawing ends this factor beyond a forecast run, so that the mark of the run does not sit on the edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """A study's runs, fits and answers.

    `recommendation` is for `largest_flops`, the largest budget of any run. `runner_up` compares the best curve there
    with the best curve of another strategy. `comparisons` are against `baseline`; with one strategy there are none.
    `learning` is None where the study's ledger is gone, `registered` where no forecast was written down.
    """

    name: str
    table: Table
    curves: Curves
    traces: tuple[Trace, ...]
    largest_flops: float
    recommendation: Recommendation
    runner_up: Comparison | None
    baseline: str | None
    comparisons: tuple[Comparison, ...]
    forecasts: tuple[Forecast, ...]
    notes: tuple[Note, ...]
    learning: Learning | None
    registered: ForecastScore | None

    @property
    def strategies(self) -> tuple[str, ...]:
        """Names of the strategies, in the order of the runs."""
        return tuple(dict.fromkeys(trace.curve.strategy for trace in self.traces))

    @property
    def models(self) -> tuple[str, ...]:
        """Pairs of models, smallest first where their parameters are recorded, else in the order of the runs."""
        return tuple(
            dict.fromkeys(trace.models for trace in sorted(self.traces, key=lambda trace: trace.params or 0.0))
        )

    @property
    def budgets(self) -> tuple[float, ...]:
        """Budgets of the points, smallest first."""
        return tuple(sorted({self.budget(point) for trace in self.traces for point in trace.points}))

    @property
    def error_name(self) -> str:
        """What the table calls its error: CER, WER or loss."""
        return error_name(self.curves.named.get(ERROR, ERROR))

    @property
    def reasons_aside(self) -> tuple[str, ...]:
        """Why runs of the figures are in no fit, each reason once."""
        points = [point for trace in self.traces for point in (*trace.points, *trace.aside)]
        return tuple(dict.fromkeys(point.set_aside for point in points if point.set_aside))

    def of(self, strategy: str) -> tuple[Trace, ...]:
        """The traces of a strategy."""
        return tuple(trace for trace in self.traces if trace.curve.strategy == strategy)

    def budget(self, point: PlottedPoint) -> float:
        """The budget of a point, or the FLOPs of its runs where the table has no budgets."""
        budget = self.table.number(point.mean.rows[0], "budget_flops")
        return point.mean.flops if math.isnan(budget) else budget


def findings_of(source: Path, choice: Choice = EVERYTHING) -> Findings:
    """The findings of a study's folder, or a table, by `choice`. Raises InputError for no runs, or none to fit."""
    with announce_if_slow(f"fitting laws to {source}"):
        fits = _in_compute(fits_of(source, choice), source, choice)
    curves, table = fits.curves, fits.table
    forecasts = read_forecasts(curves, source, choice)
    largest = max(curve.largest_flops for curve in curves.curves)
    horizon = max(HORIZON * largest, *(MARGIN * forecast.flops for forecast in forecasts), 0.0)
    baseline = _baseline(curves, table)
    with announce_if_slow(f"comparing {len(curves.strategies)} strategies"):
        comparisons = () if baseline is None else tuple(compare_all(curves, baseline, table=table))
    with announce_if_slow(f"drawing the laws to {horizon:.2g} FLOPs, and choosing a recommendation"):
        traces = traces_of(table, curves.curves, horizon, curves.set_aside)
        recommendation = recommend_for_flops(curves, table, largest)
        runner_up = _runner_up(curves, largest, comparisons)
    return Findings(
        name=str(next((row["study"] for row in table.rows if row.get("study")), name_of(source))),
        table=table,
        curves=curves,
        traces=traces,
        largest_flops=largest,
        recommendation=recommendation,
        runner_up=runner_up,
        baseline=baseline,
        comparisons=comparisons,
        forecasts=forecasts,
        notes=curves.notes,
        learning=learning_of(source),
        registered=score_registered(source) if (source / FORECASTS_FILE).is_file() else None,
    )


def _in_compute(fits: Fits, source: Path, choice: Choice) -> Fits:
    """The fits, made again where the stored ones are laws in other columns: the axis of a report is compute."""
    return fits if all("C" in curve.domain for curve in fits.curves.curves) else new_fits(source, choice)


def name_of(source: Path) -> str:
    """What a source is called: the name of its folder or project, or of its file without the suffix."""
    return source.resolve().name if source.is_dir() else source.stem


def _baseline(curves: Curves, table: Table) -> str | None:
    if len(curves.strategies) < 2:
        return None
    if USUAL_BASELINE in curves.strategies:
        return USUAL_BASELINE
    return next(name for row in table.rows if (name := str(row.get("strategy"))) in curves.strategies)


def _runner_up(curves: Curves, flops: float, comparisons: tuple[Comparison, ...]) -> Comparison | None:
    """The best curve at `flops` against the best curve of another strategy; from `comparisons` where it is in them."""
    best = curves.best(flops)
    others = [curve for curve in curves.curves if curve.strategy != best.strategy and curve.fit is not None]
    if not others or best.fit is None:
        return None
    other = lowest(others, flops)
    for comparison in comparisons:
        if comparison.curve is best and comparison.baseline is other and comparison.flops == flops:
            return comparison
    return compare_curves(best, other, flops)
