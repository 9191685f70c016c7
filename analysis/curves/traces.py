"""Traces: each curve with its measured points, the scores of their seeds, and its law as far as it is drawn."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.curves.curve_fitting import LEAST_FALL
from analysis.curves.curves import Curve
from analysis.curves.predict import Prediction, predict_rows
from analysis.curves.screening import DEAF, FAILED, is_deaf
from analysis.tables.seed_averaged_points import Point, points_of
from analysis.tables.table import Row, Table
from analysis.tables.usable_rows import ERROR
from scaling.cost.amounts import SECONDS_AN_HOUR

IDENTIFIED = ("ok", "at_bound")
"""Statuses of a fit whose law may be drawn beyond its data."""

OUTLIER = "lie far off any law of their curve"
"""Why a point is not in the fit that it is compared with."""

PATH_POINTS = 41
"""Places at which a law is computed: a tenth of a decade apart over four decades, which makes a smooth line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlottedPoint:
    """A point with what its seeds scored: `low` to `high`. `unique_hours` and `passes` are None where not recorded.

    `set_aside` is why its runs are not in the fit, in words of which "runs that" is the beginning; None where they are.
    """

    mean: Point
    low: float
    high: float
    unique_hours: float | None
    passes: float | None
    set_aside: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One curve as it is drawn: its points, and its law at growing FLOPs as far as the data carry it.

    `aside` are runs that were set aside before anything was averaged. `path` is empty, or ends at the largest budget,
    where the data do not identify the law; `reason` says so. `params` counts encoder and LLM, embeddings included; None
    where the table does not say.
    """

    curve: Curve
    points: tuple[PlottedPoint, ...]
    aside: tuple[PlottedPoint, ...]
    path: tuple[Prediction, ...]
    reason: str | None
    params: float | None

    @property
    def models(self) -> str:
        """The pair of models in words."""
        return models_text(self.curve.encoder, self.curve.llm)


def traces_of(
    table: Table, curves: Sequence[Curve], horizon: float | None = None, set_aside: Collection[int] = ()
) -> tuple[Trace, ...]:
    """One trace a curve: strategies in the order of the runs, and the models of each.

    `horizon` is how far laws are drawn, in FLOPs; without it no path is computed. Rows on the lines `set_aside` are
    drawn beside the points.
    """
    aside = {i for i, line in enumerate(table.lines) if line in set_aside}
    points, _ = points_of(table, leave_out=aside)
    aside_points, _ = points_of(table, leave_out=set(range(len(table.rows))) - aside) if aside else ((), ())
    traces = []
    for curve in curves:
        own = [point for point in points if point.curve == (curve.strategy, curve.encoder, curve.llm)]
        outliers = set() if curve.fit is None else set(curve.fit.excluded)
        trace = Trace(
            curve=curve,
            points=tuple(_point(table, point, OUTLIER if i in outliers else None) for i, point in enumerate(own)),
            aside=tuple(
                _point(table, point, _why_aside(table, point)) for point in aside_points if point.curve == own[0].curve
            ),
            path=() if horizon is None else _path(curve, horizon),
            reason=_reason(curve),
            params=_params(table.rows[own[0].rows[0]]),
        )
        traces.append(trace)
    first: dict[str, int] = {}
    for trace in traces:
        row = min(trace.points[0].mean.rows)
        first[trace.curve.strategy] = min(row, first.get(trace.curve.strategy, row))
    return tuple(sorted(traces, key=lambda trace: (first[trace.curve.strategy], min(trace.points[0].mean.rows))))


def models_text(encoder: str | None, llm: str | None) -> str:
    """A pair of models in words."""
    return " + ".join(name for name in (encoder, llm) if name) or "all models"


def describes_its_runs(curve: Curve) -> bool:
    """Whether a curve's law describes its own budgets; whether it holds beyond them is another question."""
    if not curve.answers or curve.status == "not_converged":
        return False
    smallest, largest = curve.domain["C"]
    return curve.status in IDENTIFIED or curve.cer(smallest) >= LEAST_FALL * curve.cer(largest)


def _why_aside(table: Table, point: Point) -> str:
    """Why runs that were set aside before anything was averaged are not in the fit."""
    return DEAF if all(is_deaf(table.rows[i]) for i in point.rows) else FAILED.rstrip(",")


def _point(table: Table, point: Point, set_aside: str | None) -> PlottedPoint:
    scores = [table.number(i, ERROR) for i in point.rows] if point.runs > 1 else [point.cer]
    hours = _mean(table, point, "unique_audio_seconds")
    return PlottedPoint(
        mean=point,
        low=min(scores),
        high=max(scores),
        unique_hours=None if hours is None else hours / SECONDS_AN_HOUR,
        passes=_mean(table, point, "epochs"),
        set_aside=set_aside,
    )


def _path(curve: Curve, horizon: float) -> tuple[Prediction, ...]:
    if not describes_its_runs(curve):
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
    drawn = "its law is not drawn beyond them" if describes_its_runs(curve) else "no law is drawn"
    return f"{curve.label}: {why}; {drawn}."


def _mean(table: Table, point: Point, column: str) -> float | None:
    values = [value for i in point.rows if not math.isnan(value := table.number(i, column))]
    return math.fsum(values) / len(values) if values else None


def _params(row: Row) -> float | None:
    parts = [row.get("encoder_params"), row.get("llm_params")]
    return None if None in parts else math.fsum(float(part) for part in parts if part is not None)
