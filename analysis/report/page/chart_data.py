"""What the figure of the page draws and answers from, as JSON: points, sampled laws, forecast runs, devices."""

import math
from collections.abc import Sequence

from analysis.curves.curves import FAR, VERY_FAR
from analysis.curves.forecast_check import Forecast
from analysis.curves.predict import Prediction
from analysis.curves.traces import PlottedPoint, Trace
from analysis.glossary import STATUS_IN_WORDS
from analysis.recommending.training_price import TrainingPrice, recorded_devices, training_price
from analysis.report.findings import Findings
from analysis.report.page.law_samples import law_rows
from analysis.report.palette import CURVE_STYLES, curve_style
from scaling.cost.hardware import HARDWARE, hardware_of

DIGITS = 4
"""Significant digits of a measured error: a share of 1e-4 of it is below what any test set shows."""
BELOW = 2.0
"""Budgets are answered from this factor below the smallest run."""
USUAL_DEVICE = "h100-sxm"
"""What hours and money are of until the reader chooses, where the table does not say what its runs were trained on."""


def chart(findings: Findings, beside: Sequence[Findings] = ()) -> dict[str, object]:
    """The document that assets/scripts read (`study`). A row of a law is one of `law_samples`; FLOPs are answered over
    `answers_range` and drawn over `flops_range`. Strategies of the studies `beside` follow, named with their study.

    A trace's `flops_an_hour` are what each of the `devices` trains of it. An amount of hours or money is that of the
    trace `recommended`; the other traces get what the same amount buys of them.
    """
    every = (findings, *beside)
    flops = [flops for one in every for flops in _flops(one)]
    smallest = min(point.mean.flops for one in every for trace in one.traces for point in trace.points)
    models = list(dict.fromkeys(models for one in every for models in one.models))
    names = ["", *_distinct_names(findings, beside)]
    names = [
        name if one.error_name == findings.error_name else f"{name}, {one.error_name}"
        for name, one in zip(names, every, strict=True)
    ]
    strategies = [(one, name, strategy) for one, name in zip(every, names, strict=True) for strategy in one.strategies]
    traces = [
        {
            **_trace(trace, smallest / BELOW),
            "flops_an_hour": [_round(price.flops_an_hour) for price in _prices(one, trace)],
            "label": _named(name, trace.curve.label),
            "models": models.index(trace.models),
            "strategy": index,
            "style": index % len(CURVE_STYLES),
            "mark": curve_style(index).mark,
        }
        for index, (one, name, strategy) in enumerate(strategies)
        for trace in one.of(strategy)
    ]
    prediction = findings.recommendation.prediction
    recommended = next(
        (i for i, one in enumerate(_in_order(findings)) if prediction and one.curve is prediction.curve), 0
    )
    return {
        "name": findings.name,
        "error": findings.error_name,
        "largest_flops": findings.largest_flops,
        "flops_range": [min(flops), max(flops)],
        "answers_range": [smallest / BELOW, VERY_FAR * max(one.largest_flops for one in every)],
        "wanted_cer": _wanted(findings),
        "far": FAR,
        "very_far": VERY_FAR,
        "strategies": [_named(name, strategy) for _, name, strategy in strategies],
        "models": models,
        "traces": traces,
        "forecasts": [
            *(_forecast(findings, one, one.prediction) for one in findings.forecasts if one.prediction),
            *_registered(findings),
        ],
        "recommended": recommended,
        "device": _device(findings),
        "devices": [
            {"name": price.hardware.name, "usd_an_hour": price.hardware.usd_per_hour, "note": price.basis}
            for price in _prices(findings, _in_order(findings)[recommended])
        ]
        if traces
        else [],
    }


def other_tests(findings: Findings, beside: Sequence[Findings]) -> list[str]:
    """Studies `beside` whose tables say that their tests or scoring differ from those of `findings`."""
    own = _digests(findings)
    return [
        name
        for other, name in zip(beside, _distinct_names(findings, beside), strict=True)
        if own and _digests(other) and _digests(other) != own
    ]


def _digests(findings: Findings) -> set[str]:
    return {str(row["test_digest"]) for row in findings.table.rows if row.get("test_digest")}


def _distinct_names(findings: Findings, beside: Sequence[Findings]) -> list[str]:
    """The name of each study beside; where another has it too, that of the folder of its table."""
    names = [one.name for one in (findings, *beside)]
    return [one.name if names.count(one.name) == 1 else one.table.path.parent.name for one in beside]


def _named(study: str, name: str) -> str:
    return f"{study}: {name}" if study else name


def _flops(findings: Findings) -> list[float]:
    """FLOPs that the figure must hold."""
    measured = [point.mean.flops for trace in findings.traces for point in (*trace.points, *trace.aside)]
    drawn = [prediction.flops for trace in findings.traces for prediction in trace.path]
    said = [] if findings.registered is None else [outcome.forecast.flops for outcome in findings.registered.outcomes]
    return [*measured, *drawn, *said, *(forecast.flops for forecast in findings.forecasts)]


def _in_order(findings: Findings) -> list[Trace]:
    """The traces as they stand in the chart."""
    return [trace for strategy in findings.strategies for trace in findings.of(strategy)]


def _wanted(findings: Findings) -> float:
    """An error to begin with: half the lowest that was measured, but between it and what the laws reach as drawn."""
    measured = min(
        (point.mean.cer for trace in findings.traces for point in trace.points if point.mean.cer), default=0.2
    )
    drawn = [prediction.cer for trace in findings.traces for prediction in trace.path if prediction.cer]
    return float(f"{max(measured / 2.0, math.sqrt(measured * min(drawn, default=0.0))):.3g}")


def _prices(findings: Findings, trace: Trace) -> list[TrainingPrice]:
    return [training_price(trace.curve, findings.table, hardware) for hardware in HARDWARE.values()]


def _device(findings: Findings) -> str:
    """What the runs were trained on, where the table says it and its price is known."""
    known = [hardware for said in sorted(recorded_devices(findings.table)) if (hardware := hardware_of(said))]
    return known[0].name if known else USUAL_DEVICE


def _trace(trace: Trace, smallest_flops: float) -> dict[str, object]:
    curve = trace.curve
    return {
        "status": curve.status,
        "status_text": STATUS_IN_WORDS[curve.status],
        "smallest_flops": curve.domain["C"][0],
        "largest_flops": curve.largest_flops,
        "drawn_to": trace.path[-1].flops if trace.path else None,
        "least": 0.0 if curve.outlook is None else curve.outlook.resolution or 0.0,
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
        "trace": next(i for i, trace in enumerate(_in_order(findings)) if trace.curve is prediction.curve),
        "flops": forecast.flops,
        "truth": _round(forecast.truth),
        "predicted": _round(prediction.cer),
        "interval": None if None in (ends := _ends(prediction.interval)) else ends,
    }


def _registered(findings: Findings) -> list[dict[str, object]]:
    """Forecasts that were written down and count, or wait: what was said and what was measured, null while it waits."""
    places = {trace.curve.identity: i for i, trace in enumerate(_in_order(findings))}
    outcomes = [] if findings.registered is None else findings.registered.outcomes
    return [
        {
            "trace": places[outcome.forecast.curve],
            "flops": outcome.forecast.flops,
            "truth": _round(outcome.truth),
            "predicted": _round(outcome.forecast.cer),
            "interval": _ends(outcome.forecast.interval),
        }
        for outcome in outcomes
        if outcome.first and outcome.state != "registered_late" and outcome.forecast.curve in places
    ]


def _ends(interval: tuple[float, float] | None) -> list[float | None]:
    return [None, None] if interval is None else [_round(end) for end in interval]


def _round(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.{DIGITS}g}")
