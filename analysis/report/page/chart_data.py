"""What the figure of the page draws, as JSON: points, laws sampled along FLOPs, forecast runs."""

import math

from analysis.curves.forecast_check import Forecast
from analysis.curves.predict import Prediction
from analysis.curves.traces import PlottedPoint, Trace
from analysis.report.findings import Findings
from analysis.report.palette import CURVE_STYLES, curve_style

DIGITS = 4
"""Significant digits of an error: a share of 1e-4 of it is below what any test set shows."""


def chart(findings: Findings) -> dict[str, object]:
    """The document that assets/report.js reads. A row of a path holds FLOPs, CER, both ends of the interval of the
    curve, and both ends of the interval of one new run.
    """
    flops = [point.mean.flops for trace in findings.traces for point in (*trace.points, *trace.aside)]
    flops += [prediction.flops for trace in findings.traces for prediction in trace.path]
    flops += [forecast.flops for forecast in findings.forecasts]
    return {
        "largest_flops": findings.largest_flops,
        "flops_range": [min(flops), max(flops)],
        "strategies": findings.strategies,
        "models": findings.models,
        "traces": [_trace(findings, trace) for trace in findings.traces],
        "forecasts": [
            _forecast(findings, forecast, forecast.prediction) for forecast in findings.forecasts if forecast.prediction
        ],
    }


def _trace(findings: Findings, trace: Trace) -> dict[str, object]:
    strategy = findings.strategies.index(trace.curve.strategy)
    return {
        "label": trace.curve.label,
        "strategy": strategy,
        "models": findings.models.index(trace.models),
        "style": strategy % len(CURVE_STYLES),
        "mark": curve_style(strategy).mark,
        "status": trace.curve.status,
        "largest_flops": trace.curve.largest_flops,
        "points": [_point(point) for point in (*trace.points, *trace.aside)],
        "path": [
            [point.flops, _round(point.cer), *_ends(point.curve_interval), *_ends(point.interval)]
            for point in trace.path
        ],
    }


def _point(point: PlottedPoint) -> dict[str, object]:
    return {
        "flops": point.mean.flops,
        "cer": _round(point.mean.cer),
        "low": _round(point.low),
        "high": _round(point.high),
        "runs": point.mean.runs,
        "set_aside": point.set_aside,
    }


def _forecast(findings: Findings, forecast: Forecast, prediction: Prediction) -> dict[str, object]:
    return {
        "trace": next(i for i, trace in enumerate(findings.traces) if trace.curve is prediction.curve),
        "flops": forecast.flops,
        "truth": _round(forecast.truth),
        "predicted": _round(prediction.cer),
        "interval": None if None in (ends := _ends(prediction.interval)) else ends,
    }


def _ends(interval: tuple[float, float] | None) -> list[float | None]:
    return [None, None] if interval is None else [_round(end) for end in interval]


def _round(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.{DIGITS}g}")
