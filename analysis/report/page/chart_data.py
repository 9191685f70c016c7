"""What the figure of the page draws and answers from, as JSON: points, sampled laws, forecast runs, devices."""

import math

from analysis.curves.curves import FAR, VERY_FAR
from analysis.curves.forecast_check import Forecast
from analysis.curves.predict import Prediction
from analysis.curves.traces import PlottedPoint, Trace
from analysis.recommending.budgets import HardwareCost
from analysis.report.findings import Findings
from analysis.report.page.law_samples import law_rows
from analysis.report.page.statuses import STATUSES
from analysis.report.palette import CURVE_STYLES, curve_style
from scaling.cost.hardware import HARDWARE, device_hours

DIGITS = 4
"""Significant digits of a measured error: a share of 1e-4 of it is below what any test set shows."""
BELOW = 2.0
"""Budgets are answered from this factor below the smallest run."""
USUAL_DEVICE, USUAL_PROCESSOR = "h100-sxm", "cpu-core"
"""What hours and money are of until the reader chooses: of a processor's core where the runs were trained on one."""


def chart(findings: Findings) -> dict[str, object]:
    """The document that assets/scripts read (`study`). A row of a law is one of `law_samples`; FLOPs are answered over
    `answers_range` and drawn over `flops_range`.
    """
    flops = [point.mean.flops for trace in findings.traces for point in (*trace.points, *trace.aside)]
    smallest = min(flops)
    flops += [prediction.flops for trace in findings.traces for prediction in trace.path]
    flops += [forecast.flops for forecast in findings.forecasts]
    errors = [point.mean.cer for trace in findings.traces for point in trace.points if point.mean.cer > 0.0]
    return {
        "name": findings.name,
        "largest_flops": findings.largest_flops,
        "flops_range": [smallest, max(flops)],
        "answers_range": [smallest / BELOW, VERY_FAR * findings.largest_flops],
        "wanted_cer": float(f"{min(errors, default=0.1) / 2.0:.2g}"),
        "far": FAR,
        "very_far": VERY_FAR,
        "strategies": findings.strategies,
        "models": findings.models,
        "traces": [_trace(findings, trace, smallest / BELOW) for trace in findings.traces],
        "forecasts": [
            _forecast(findings, forecast, forecast.prediction) for forecast in findings.forecasts if forecast.prediction
        ],
        "device": _device(findings),
        "devices": [
            {
                "name": hardware.name,
                "flops_an_hour": 1.0 / device_hours(1.0, hardware),
                "usd_an_hour": hardware.usd_per_hour,
                "note": HardwareCost(flops=1.0, hardware=hardware).note.message,
            }
            for hardware in HARDWARE.values()
        ],
    }


def _device(findings: Findings) -> str:
    """What the runs were trained on, where the table says it and its price is known."""
    said = {str((row.get("provenance") or {}).get("device", "")).lower() for row in findings.table.rows}
    if said & {"x86_64", "aarch64", "arm64"}:
        return USUAL_PROCESSOR
    named = [name for name in HARDWARE if any(name.partition("-")[0] in text for text in said)]
    return named[0] if named else USUAL_DEVICE


def _trace(findings: Findings, trace: Trace, smallest_flops: float) -> dict[str, object]:
    strategy, curve = findings.strategies.index(trace.curve.strategy), trace.curve
    least = 0.0 if curve.outlook is None else curve.outlook.resolution or 0.0
    return {
        "label": curve.label,
        "strategy": strategy,
        "models": findings.models.index(trace.models),
        "style": strategy % len(CURVE_STYLES),
        "mark": curve_style(strategy).mark,
        "status": curve.status,
        "status_text": STATUSES[curve.status],
        "smallest_flops": curve.domain["C"][0],
        "largest_flops": curve.largest_flops,
        "drawn_to": trace.path[-1].flops if trace.path else None,
        "least": least,
        "points": [_point(point) for point in (*trace.points, *trace.aside)],
        "law": law_rows(curve, smallest_flops),
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
