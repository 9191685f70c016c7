"""Findings: everything a report says about a study, worked out once; `analysis.plots` draws it, `analysis.page` tells
it.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.cells import ERROR, Cell, cells_of
from analysis.compare import Comparison, compare, compare_all
from analysis.curves import Curve, Curves, curves_of, fit_curves, lowest
from analysis.notes import Note
from analysis.predict import Prediction, predict, predict_rows
from analysis.recommend import SECONDS_AN_HOUR, Recommendation, recommend_for_flops
from analysis.table import RUNS_FILE, Row, Table, read_table
from scaling.errors import InputError

# Standard joint post-training: what labs do today, so what others are measured against.
USUAL_BASELINE = "joint"
# Laws are drawn this far beyond the largest budget, where `predict` starts to warn.
HORIZON = 10.0
# Beyond a forecast run the drawing goes on by this factor, so that its mark does not sit on the edge.
MARGIN = 1.5
IDENTIFIED = ("ok", "at_bound")
# Enough for a smooth line over four decades: neighbours are a quarter of a budget apart.
PATH_POINTS = 41
FORECAST_FOLDER = "forecast"
# A doubtful law whose error falls by less than this factor over all budgets draws a line through noise.
LEAST_FALL = 1.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A cell with what its seeds scored: `low` to `high`. `unique_hours` and `passes` are None where not recorded.

    `set_aside`: the fit took it for a gross outlier.
    """

    cell: Cell
    low: float
    high: float
    unique_hours: float | None
    passes: float | None
    set_aside: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One curve as it is drawn: its points, and its law at growing FLOPs as far as the data carry it.

    `path` is empty, or ends at the largest budget, where the data do not identify the law; `reason` says so.
    `params` counts encoder and LLM, embeddings included; None where the table does not say.
    """

    curve: Curve
    points: tuple[Point, ...]
    path: tuple[Prediction, ...]
    reason: str | None
    params: float | None

    @property
    def models(self) -> str:
        """The pair of models in words."""
        return models_text(self.curve.encoder, self.curve.llm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Runs that no fit has seen (their mean in `cell`), and what the fit says of them; None where it has no curve."""

    cell: Cell
    prediction: Prediction | None

    @property
    def held(self) -> bool | None:
        """Whether the interval of one new run holds the truth; None without an interval."""
        if self.prediction is None or self.prediction.interval is None:
            return None
        low, high = self.prediction.interval
        return low <= self.cell.cer <= high


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """A study's runs, fits and answers.

    `recommendation` is for `largest_flops`, the largest budget of any run; `rivals` compares it with the best curve of
    another strategy there. `comparisons` are against `baseline`; both are empty with one strategy.
    """

    name: str
    table: Table
    curves: Curves
    traces: tuple[Trace, ...]
    largest_flops: float
    recommendation: Recommendation
    rivals: Comparison | None
    baseline: str | None
    comparisons: tuple[Comparison, ...]
    forecasts: tuple[Forecast, ...]
    notes: tuple[Note, ...]

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

    def of(self, strategy: str) -> tuple[Trace, ...]:
        """The traces of a strategy."""
        return tuple(trace for trace in self.traces if trace.curve.strategy == strategy)


def find(folder: Path) -> Findings:
    """What the study in `folder` found. Raises InputError where it has no runs or none that can be fitted."""
    if not folder.is_dir():
        raise InputError(f"{folder}: not a folder; expected a study's folder with {RUNS_FILE}")
    table = read_table(folder)
    curves = _in_compute(curves_of(folder), table)
    forecasts = _forecasts(folder / FORECAST_FOLDER, curves)
    largest = max(curve.largest_flops for curve in curves.curves)
    horizon = max(HORIZON * largest, *(MARGIN * forecast.cell.flops for forecast in forecasts), 0.0)
    baseline = _baseline(curves, table)
    comparisons = () if baseline is None else tuple(compare_all(curves, baseline, table=table))
    return Findings(
        name=str(next((row["study"] for row in table.rows if row.get("study")), folder.resolve().name)),
        table=table,
        curves=curves,
        traces=_traces(table, curves, horizon),
        largest_flops=largest,
        recommendation=recommend_for_flops(curves, table, largest),
        rivals=_rivals(curves, largest, comparisons),
        baseline=baseline,
        comparisons=comparisons,
        forecasts=forecasts,
        notes=curves.notes,
    )


def models_text(encoder: str | None, llm: str | None) -> str:
    """A pair of models in words."""
    return " + ".join(name for name in (encoder, llm) if name) or "all models"


def carries(curve: Curve) -> bool:
    """Whether a curve's law says anything about its own budgets: what it says beyond them is another matter."""
    if curve.fit is None or curve.status == "not_converged":
        return False
    smallest, largest = curve.domain["C"]
    return curve.status in IDENTIFIED or curve.cer(smallest) >= LEAST_FALL * curve.cer(largest)


def _in_compute(curves: Curves, table: Table) -> Curves:
    """The curves, fitted afresh where fits.json holds laws in other columns: a report's axis is compute."""
    return curves if all("C" in curve.domain for curve in curves.curves) else fit_curves(table)


def _baseline(curves: Curves, table: Table) -> str | None:
    if len(curves.strategies) < 2:
        return None
    if USUAL_BASELINE in curves.strategies:
        return USUAL_BASELINE
    return next(name for row in table.rows if (name := str(row.get("strategy"))) in curves.strategies)


def _rivals(curves: Curves, flops: float, comparisons: tuple[Comparison, ...]) -> Comparison | None:
    """The best curve at `flops` against the best of another strategy, as it was compared before if it was."""
    best = curves.best(flops)
    others = [curve for curve in curves.curves if curve.strategy != best.strategy and curve.fit is not None]
    if not others or best.fit is None:
        return None
    other = lowest(others, flops)
    known = (one for one in comparisons if one.curve is best and one.baseline is other and one.flops == flops)
    return next(known, None) or compare(best, other, flops)


def _forecasts(folder: Path, curves: Curves) -> tuple[Forecast, ...]:
    if not (folder / RUNS_FILE).exists():
        return ()
    cells, _ = cells_of(read_table(folder))
    by_owner = {(curve.strategy, curve.encoder, curve.llm): curve for curve in curves.curves}
    return tuple(
        Forecast(cell=cell, prediction=predict(by_owner[cell.curve], cell.flops) if cell.curve in by_owner else None)
        for cell in cells
    )


def _traces(table: Table, curves: Curves, horizon: float) -> tuple[Trace, ...]:
    """One trace a curve: strategies in the order of the runs, and the models of each."""
    cells, _ = cells_of(table)
    traces = []
    for curve in curves.curves:
        own = [cell for cell in cells if cell.curve == (curve.strategy, curve.encoder, curve.llm)]
        aside = set() if curve.fit is None else set(curve.fit.excluded)
        trace = Trace(
            curve=curve,
            points=tuple(_point(table, cell, i in aside) for i, cell in enumerate(own)),
            path=_path(curve, horizon),
            reason=_reason(curve),
            params=_params(table.rows[own[0].rows[0]]),
        )
        traces.append(trace)
    first: dict[str, int] = {}
    for trace in traces:
        row = min(trace.points[0].cell.rows)
        first[trace.curve.strategy] = min(row, first.get(trace.curve.strategy, row))
    return tuple(sorted(traces, key=lambda trace: (first[trace.curve.strategy], min(trace.points[0].cell.rows))))


def _point(table: Table, cell: Cell, set_aside: bool) -> Point:
    scores = [table.number(i, ERROR) for i in cell.rows] if cell.runs > 1 else [cell.cer]
    hours = _mean(table, cell, "unique_audio_seconds")
    return Point(
        cell=cell,
        low=min(scores),
        high=max(scores),
        unique_hours=None if hours is None else hours / SECONDS_AN_HOUR,
        passes=_mean(table, cell, "epochs"),
        set_aside=set_aside,
    )


def _path(curve: Curve, horizon: float) -> tuple[Prediction, ...]:
    if not carries(curve):
        return ()
    smallest, largest = curve.domain["C"]
    end = horizon if curve.status in IDENTIFIED else largest
    flops = np.unique(np.append(np.geomspace(smallest, end, PATH_POINTS), largest))
    return tuple(predict_rows(curve, {"C": flops.tolist()}))


def _reason(curve: Curve) -> str | None:
    """Why a curve is not drawn, or not beyond its data."""
    if curve.status in IDENTIFIED:
        return None
    why = {
        "too_few_points": "its budgets are too few to show how the error falls",
        "not_identified": "many laws fit its runs equally well",
        "not_converged": "the search for its law stopped early",
    }[curve.status]
    drawn = "its law is not drawn beyond them" if carries(curve) else "no law is drawn"
    return f"{curve.label}: {why}; {drawn}."


def _mean(table: Table, cell: Cell, column: str) -> float | None:
    values = [value for i in cell.rows if not math.isnan(value := table.number(i, column))]
    return math.fsum(values) / len(values) if values else None


def _params(row: Row) -> float | None:
    parts = [row.get("encoder_params"), row.get("llm_params")]
    return None if None in parts else math.fsum(float(part) for part in parts if part is not None)
