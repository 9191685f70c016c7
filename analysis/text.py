"""Answers as the commands print them in a terminal."""

import math
from collections.abc import Sequence

from analysis.curves.coverage import INTERVALS, Coverage
from analysis.curves.curves import FAR, Curve, Curves
from analysis.curves.predict import Prediction
from analysis.fitting.model_selection import LawCandidate
from analysis.formatting import Interval, between, interval_cell, label_cell, number, percent, share_cell
from analysis.glossary import STATUS_IN_WORDS, meaning_of_fit
from analysis.notes import Note, as_text
from analysis.recommending.isoflop_frontier import Frontier
from analysis.recommending.next_runs import Proposal
from analysis.recommending.recommendation import Recommendation
from analysis.recommending.training_price import HardwareCost
from analysis.tables.understanding.column_names import error_name
from analysis.tables.usable_rows import ERROR
from analysis.warnings_text import warnings_text
from scaling.cost.amounts import duration, money
from scaling.system.console import one_line
from scaling.system.text_table import text_table


def fits_document(curves: Curves) -> dict[str, object]:
    """What `fit --json` prints."""
    return {"fits": [_fit_document(curve) for curve in curves.curves], "warnings": as_text(curves.notes)}


def fits_text(curves: Curves) -> str:
    """One line a fit, the warnings below."""
    rows = []
    for curve in curves.curves:
        fit = curve.fit
        law, theta, points = "-", "-", 0
        if fit is not None:
            law, points = fit.law.name, fit.n
            theta = " ".join(f"{name}={number(value)}" for name, value in fit.theta.items())
        rows.append([label_cell(curve.label), law, theta, str(points), STATUS_IN_WORDS[curve.status]])
    table = text_table(["strategy", "law", "parameters", "points", "status"], rows)
    return table + warnings_text(curves.notes, curves.curves, error_name(curves.named.get(ERROR, ERROR)))


def laws_document(
    candidates: Sequence[LawCandidate], answers: Interval | None, notes: Sequence[Note]
) -> dict[str, object]:
    """What `laws --json` prints, the best forecaster first; `answers` is the range of all answers."""
    return {
        "laws": [candidate.as_dict() for candidate in candidates],
        "best": candidates[0].fit.law.name,
        "answer_spread": answers,
        "warnings": as_text(notes),
    }


def laws_text(candidates: Sequence[LawCandidate], answers: Interval | None, notes: Sequence[Note]) -> str:
    """One line a law and objective, the best forecaster first; `answers` is the range of all answers."""
    rows = []
    for candidate in candidates:
        fit, backtest = candidate.fit, candidate.calibration
        error, held = (None, "-") if backtest is None else (backtest.error, _share(backtest.held, backtest.forecasts))
        aicc = candidate.aicc if math.isfinite(candidate.aicc) else None
        numbers = (percent(error), held, number(aicc), number(candidate.answer))
        rows.append([fit.law.name, fit.loss.name, *numbers, STATUS_IN_WORDS[fit.status]])
    table = text_table(["law", "objective", "forecast error", "90% held", "AICc", "answer", "status"], rows)
    lines = [table, "  forecast error, 90% held: of larger budgets of these data, forecast from smaller ones"]
    lines += [
        f"  {STATUS_IN_WORDS[status]}: {meaning_of_fit(status)}"
        for status in dict.fromkeys(candidate.fit.status for candidate in candidates)
        if status != "ok"
    ]
    if answers is not None:
        lines.append(f"Over laws and objectives the answer spreads over {between(answers)}.")
    return "\n".join(lines) + warnings_text(notes)


def prediction_text(prediction: Prediction, error: str = "CER") -> str:
    """A sentence or two about the error, by its name, and the warnings."""
    return "\n".join(
        [
            f"{prediction.curve.label} at {prediction.flops:.4g} FLOPs: {_expected(prediction, error)}",
            *(f"  {line}" for line in _doubt_lines(prediction)),
        ]
    ) + warnings_text(prediction.warnings, error=error)


def _expected(prediction: Prediction, error: str) -> str:
    """The error; a range alone where no forecast was ever tested so far away."""
    if prediction.interval is not None and prediction.curve.extrapolation(prediction.flops) > FAR:
        low, high = prediction.interval
        return f"{error} somewhere from {low:.2g} to {high:.2g} ({prediction.level:.0%} of new runs)"
    return f"{error} {number(prediction.cer)}"


def _doubt_lines(prediction: Prediction) -> list[str]:
    """The intervals, how far the answer lies beyond the runs, and the status where it is not good."""
    curve, backtest = prediction.curve, prediction.curve.calibration
    lines = [f"no interval: {STATUS_IN_WORDS[prediction.status]}"]
    if prediction.interval is not None:
        far = curve.extrapolation(prediction.flops) > FAR
        run = "" if far else f"of one new run {between(prediction.interval)}, "
        lines = [f"{prediction.level:.0%} interval {run}of the curve {between(prediction.curve_interval)}"]
    if backtest is not None and prediction.calibrated_interval is not None:
        wider, plain = (_share(held, backtest.forecasts) for held in (backtest.held_calibrated, backtest.held))
        held = f"held {wider} forecasts inside the data; the interval of one new run held {plain}"
        lines.append(f"calibrated interval {between(prediction.calibrated_interval)}: it {held}")
    reach = f"{number(curve.extrapolation(prediction.flops), 3)} times the largest fitted run"
    return [*lines, reach + ("" if prediction.status == "ok" else f"; {STATUS_IN_WORDS[prediction.status]}")]


def rows_text(predictions: Sequence[Prediction], error: str = "CER") -> str:
    """One line a point, the warnings below."""
    columns = list(predictions[0].columns)
    names = [name for name in INTERVALS if any(getattr(prediction, name) is not None for prediction in predictions)]
    rows = [
        [
            *(number(prediction.columns[name]) for name in columns),
            number(prediction.cer, 6),
            *(interval_cell(getattr(prediction, name)) for name in names),
        ]
        for prediction in predictions
    ]
    header = [*columns, "value", *(INTERVALS[name] for name in names)]
    notes = (note for answer in predictions for note in answer.warnings)
    return text_table(header, rows) + warnings_text(notes, error=error)


def frontier_text(frontier: Frontier) -> str:
    """One line a budget, and the trend."""
    rows = [
        [
            number(valley.flops),
            str(valley.sizes),
            number(valley.best_size),
            interval_cell(valley.best_size_interval),
            number(valley.error),
            interval_cell(valley.error_interval),
        ]
        for valley in frontier.valleys
    ]
    table = text_table(["FLOPs", "sizes", "best size", "90% interval", "error", "90% interval"], rows)
    trend = f"The best size grows as C^{frontier.exponent:.3f} {between(frontier.exponent_interval)}"
    if frontier.joint_exponent is not None:
        trend += f"; one law of sizes and tokens for all budgets says C^{frontier.joint_exponent:.3g}"
    return f"{table}\n{trend}." + warnings_text(frontier.warnings)


def coverage_text(coverages: Sequence[Coverage]) -> str:
    """One line for each interval of each curve."""
    rows = [
        [
            label_cell(coverage.curve.label),
            number(coverage.flops),
            INTERVALS[name],
            _share(coverage.held[name], coverage.sets),
            f"{coverage.width[name]:.2f} times",
        ]
        for coverage in coverages
        for name in INTERVALS
        if name in coverage.held
    ]
    table = text_table(["strategy", "FLOPs", "interval", "held the truth", "upper end over lower"], rows)
    curves = [coverage.curve for coverage in coverages]
    return table + warnings_text((note for curve in curves for note in curve.warnings), curves)


def proposal_text(proposal: Proposal) -> str:
    """The runs, and the interval before and after."""
    runs = [[number(budget), str(count)] for budget, count in proposal.runs.items()]
    return (
        f"{proposal.curve.label}: the next runs, to know its CER at {number(proposal.target_flops)} FLOPs\n"
        f"{text_table(['budget', 'runs'], runs)}\n"
        f"  together {number(proposal.flops)} FLOPs\n"
        f"  90% interval of the curve now {between(proposal.interval_before)}, expected with these runs "
        f"{between(proposal.interval_after)}, with an even grid for the same FLOPs {between(proposal.even_interval)}"
        + warnings_text(proposal.curve.warnings)
    )


def recommendation_text(answer: Recommendation, error: str = "CER") -> str:
    """What to do, what error it will give, by its name, and the warnings."""
    prediction = answer.prediction
    if prediction is None:
        return "no recommendation" + warnings_text(answer.warnings, error=error)
    same = answer.flops_interval is None or answer.flops_interval[0] == answer.flops_interval[1]
    spend = number(answer.flops) + ("" if same else f" {between(answer.flops_interval)}")
    stages = ", ".join(f"{one_line(name)} {amount:.3g}" for name, amount in (answer.stage_flops or {}).items())
    cost = answer.cost
    lines = [
        *([f"stages: {stages} FLOPs"] if stages else []),
        *([] if answer.audio_hours is None else [f"audio passed: {number(answer.audio_hours, 3)} hours"]),
        f"expect {_expected(prediction, error)}",
        *_doubt_lines(prediction),
        *_allocation_lines(answer, error),
        *([] if cost is None else [_cost_line(cost)]),
    ]
    advice = f"spend {spend} FLOPs on {prediction.curve.label}"
    return "\n".join([advice, *(f"  {line}" for line in lines)]) + warnings_text(_every_note(answer), error=error)


def _cost_line(cost: HardwareCost) -> str:
    hours = duration(3600.0 * cost.device_hours)
    return f"{hours} of training on one {cost.price.hardware.name}, {money(cost.usd)}"


def _allocation_lines(answer: Recommendation, error: str) -> list[str]:
    lines = []
    if answer.lifetime_hours > 0.0:
        recognition = (
            f"{number(answer.lifetime_hours)} hours of recognition take {number(answer.inference_flops)} FLOPs"
        )
        lines.append(f"{recognition} more")
    if (sizes := answer.sizes) is not None:
        lines.append(
            f"best sizes of {answer.prediction.curve.strategy if answer.prediction else ''}: "
            f"encoder {number(sizes.encoder_params, 3)} {between(sizes.encoder_params_interval)}, "
            f"LLM {number(sizes.llm_params, 3)} {between(sizes.llm_params_interval)} parameters, "
            f"{number(sizes.audio_hours, 3)} {between(sizes.audio_hours_interval)} hours: "
            f"{error} {number(sizes.cer)} {between(sizes.cer_interval)}"
        )
    if (shares := answer.shares) is not None:
        each = ", ".join(
            f"{one_line(name)} {share_cell(share, shares.intervals[name])}" for name, share in shares.shares.items()
        )
        saved = share_cell(shares.cer_reduction, shares.cer_reduction_interval)
        lines.append(f"best shares of the budget: {each}; {error} saved {saved}")
    return lines


def _every_note(answer: Recommendation) -> list[Note]:
    """The notes of an answer, those on best sizes and shares among them."""
    parts = [part.warnings for part in (answer.sizes, answer.shares) if part is not None]
    return [*answer.warnings, *(note for part in parts for note in part)]


def _share(held: float, of: int) -> str:
    return f"{round(held * of)} of {of}"


def _fit_document(curve: Curve) -> dict[str, object]:
    fit = curve.fit
    return {
        **curve.names,
        "law": None if fit is None else fit.law.name,
        "formula": None if fit is None else fit.law.formula,
        "loss": None if fit is None else fit.loss.name,
        "theta": {} if fit is None else fit.theta,
        "objective": None if fit is None else fit.objective,
        "n": 0 if fit is None else fit.n,
        "dof": None if fit is None else fit.dof,
        "condition_number": None if fit is None else fit.condition_number,
        "starts": 0 if fit is None else fit.starts,
        "starts_agreeing": 0 if fit is None else fit.starts_agreeing,
        "domain": curve.domain,
        "calibration": None if curve.calibration is None else curve.calibration.as_dict(),
        "status": curve.status,
        "warnings": as_text(curve.warnings),
    }
