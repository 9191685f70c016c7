"""The head of a report: the question, and the answer in a few sentences."""

from collections.abc import Iterable

from analysis.comparing.comparison import Comparison
from analysis.curves.curves import Curve
from analysis.curves.forecast_check import Forecast
from analysis.curves.traces import describes_its_runs
from analysis.report.findings import Findings
from analysis.report.page.html import Html, tag
from analysis.report.page.words import between, number, percent, percent_between, status_text, times
from analysis.tables.table import Row


def answer(findings: Findings) -> Html:
    """The question, and the answer in a sentence."""
    return tag(
        "header",
        tag("h1", f"Study {findings.name}: {len(findings.table.rows)} runs"),
        tag("p", "How low will the error be for this many FLOPs, and how should they be spent?", class_="question"),
        _simulated(findings.table.rows),
        tag("p", *_advice(findings), class_="answer-text"),
        _spending(findings),
        *(tag("p", *_forecast(forecast)) for forecast in findings.forecasts),
    )


def _simulated(rows: Iterable[Row]) -> Html | None:
    """Numbers of the simulator must never pass for measurements."""
    if not any(isinstance(row.get("provenance"), dict) and row["provenance"].get("simulated") for row in rows):
        return None
    return tag("p", "Simulated: these errors were drawn from a planted law. Nothing was trained.", class_="notice")


def _advice(findings: Findings) -> list[str]:
    prediction = findings.recommendation.prediction
    largest = number(findings.largest_flops)
    if prediction is None or prediction.cer is None or not describes_its_runs(prediction.curve):
        best = min((point for trace in findings.traces for point in trace.points), key=lambda point: point.mean.cer)
        return [
            f"These runs cannot say: {status_text(findings.recommendation.status)}. The lowest error measured is CER "
            f"{number(best.mean.cer)}, by ",
            tag("b", best.mean.strategy),
            f" at {number(best.mean.flops)} FLOPs.",
        ]
    curve = prediction.curve
    reach = times(curve.extrapolation(prediction.flops))
    said = [
        f"With {largest} FLOPs, the largest budget run, train ",
        tag("b", curve.strategy),
        f"{_with_models(curve)}: predicted CER ",
        tag("b", number(prediction.cer)),
        f", 90 % interval of a new run {between(prediction.interval)} ({reach}).",
    ]
    return said + _rivalry(findings.runner_up) + _doubt(curve)


def _rivalry(runner_up: Comparison | None) -> list[str]:
    """How sure the choice of strategy is."""
    if runner_up is None or runner_up.cer_reduction is None:
        return []
    other, ends = runner_up.baseline, runner_up.cer_reduction_interval
    next_best = f" {percent(runner_up.cer_reduction)} less than {other.label}, the next strategy"
    if ends is None:
        return [f"{next_best}; with so few runs the difference has no interval."]
    interval = f"90 % interval {percent_between(ends)}"
    if ends[0] <= 0.0:
        return [f"{next_best}, from which these runs do not tell it apart ({interval})."]
    return [f"{next_best} ({interval})."]


def _doubt(curve: Curve) -> list[str]:
    return [] if curve.status == "ok" else [f" The law behind it: {status_text(curve.status)}; see the warnings."]


def _spending(findings: Findings) -> Html | None:
    advice = findings.recommendation
    if not advice.stage_flops or advice.flops is None:
        return None
    stages = [
        f"{name} {number(amount)} ({percent(amount / advice.flops)})" for name, amount in advice.stage_flops.items()
    ]
    hours = "" if advice.audio_hours is None else f", over {number(advice.audio_hours)} hours of audio, repeats counted"
    return tag("p", f"Spend it on {'; '.join(stages)}{hours}.")


def _forecast(forecast: Forecast) -> list[str]:
    prediction = forecast.prediction
    what = f"A forecast put to the test: {forecast.strategy}{_with_models(forecast)} at {number(forecast.flops)} FLOPs"
    if prediction is None or prediction.cer is None:
        return [f"{what} measured CER {number(forecast.truth)}; the fit had no prediction."]
    verdict = {True: "inside", False: "outside", None: "there was no interval"}[forecast.inside]
    return [
        f"{what}, {times(prediction.curve.extrapolation(forecast.flops))} fitted. Predicted CER {number(prediction.cer)}, "
        f"interval of a new run {between(prediction.interval)}; measured ",
        tag("b", number(forecast.truth)),
        f" ({verdict}).",
    ]


def _with_models(owner: Curve | Forecast) -> str:
    names = [name for name in (owner.encoder, owner.llm) if name]
    return f" with {' and '.join(names)}" if names else ""
