"""Answers as the commands print them."""

from collections.abc import Sequence
from typing import Any

from analysis.comparing.compare import Comparison
from analysis.curves.coverage import INTERVALS, Coverage
from analysis.curves.curves import Curve, Curves
from analysis.curves.predict import Prediction
from analysis.fitting.model_selection import Candidate
from analysis.formatting import aligned, between, bullets, number, percent
from analysis.notes import as_text
from analysis.recommending.isoflop_frontier import Frontier
from analysis.recommending.next_runs import Proposal
from analysis.recommending.recommend import Recommendation


def fits_document(curves: Curves) -> dict[str, Any]:
    """What `fit --json` prints."""
    return {"fits": [_fit_document(curve) for curve in curves.curves], "warnings": as_text(curves.notes)}


def fits_text(curves: Curves) -> str:
    """One line a fit, its warnings below."""
    rows = []
    for curve in curves.curves:
        fit = curve.fit
        theta = "-" if fit is None else "  ".join(f"{name}={number(value)}" for name, value in fit.theta.items())
        law = "-" if fit is None else fit.law.name
        agreeing = "-" if fit is None else f"{fit.starts_agreeing}/{fit.starts}"
        rows.append([curve.label, law, theta, str(0 if fit is None else fit.n), agreeing, curve.status])
    table = aligned(["strategy", "law", "parameters", "points", "starts agreeing", "status"], rows)
    notes = [f"{curve.label}: {line}" for curve in curves.curves for line in as_text(curve.warnings)]
    return table + bullets(as_text(curves.notes) + notes)


def laws_document(found: Sequence[Candidate], spread: tuple[float, float] | None) -> dict[str, Any]:
    """What `laws --json` prints, the best forecaster first."""
    return {"laws": [one.as_dict() for one in found], "best": found[0].fit.law.name, "answer_spread": spread}


def laws_text(found: Sequence[Candidate], spread: tuple[float, float] | None) -> str:
    """One line a law and objective, the best forecaster first."""
    rows = [
        [
            one.fit.law.name,
            one.fit.loss.name,
            percent(None if one.calibration is None else one.calibration.error),
            percent(None if one.calibration is None else one.calibration.held),
            number(one.aicc),
            number(one.answer),
            one.fit.status,
        ]
        for one in found
    ]
    table = aligned(["law", "objective", "forecast error", "held by 90%", "AICc", "answer", "status"], rows)
    return table if spread is None else f"{table}\nover laws and objectives the answer spreads over {between(spread)}"


def prediction_text(prediction: Prediction) -> str:
    """A sentence or two, and the warnings."""
    curve = prediction.curve
    extrapolation = curve.extrapolation(prediction.flops)
    return (
        f"{curve.label} at {prediction.flops:.4g} FLOPs: CER {number(prediction.cer)}, "
        f"{prediction.level:.0%} interval of one new run {between(prediction.interval)}, "
        f"of the curve {between(prediction.curve_interval)}\n"
        + _calibrated_line(prediction)
        + f"  {number(extrapolation, 3)} times the largest fitted run; status {prediction.status}"
    ) + bullets(as_text(prediction.warnings))


def _calibrated_line(prediction: Prediction) -> str:
    rollouts = prediction.curve.calibration
    if rollouts is None or prediction.calibrated_interval is None:
        return ""
    held = f"held {rollouts.held_calibrated:.0%} of {rollouts.forecasts} forecasts inside the data"
    return f"  calibrated {between(prediction.calibrated_interval)}: {held}, the plain one {rollouts.held:.0%}\n"


def rows_text(predictions: Sequence[Prediction]) -> str:
    """One line a point, the warnings below."""
    names = list(predictions[0].columns)
    rows = [
        [
            *(number(one.columns[name]) for name in names),
            number(one.cer, 6),
            between(one.curve_interval),
            between(one.interval),
            between(one.calibrated_interval),
        ]
        for one in predictions
    ]
    header = [*names, "value", "curve 90%", "new run 90%", "calibrated"]
    return aligned(header, rows) + bullets(
        list(dict.fromkeys(line for one in predictions for line in as_text(one.warnings)))
    )


def comparisons_text(comparisons: Sequence[Comparison]) -> str:
    """One line a strategy with its best models, then one for each other pair that both were run with."""
    every = [one for comparison in comparisons for one in (comparison, *_other_pairs(comparison))]
    rows = [
        [
            one.curve.label,
            one.baseline.label,
            number(one.flops),
            percent(one.cer_reduction),
            between(one.cer_reduction_interval, as_percent=True),
            percent(one.flops_saved),
            between(one.flops_saved_interval, as_percent=True),
            one.status,
        ]
        for one in every
    ]
    header = ["strategy", "baseline", "FLOPs", "CER saved", "90% interval", "FLOPs saved", "90% interval", "status"]
    deep = [line for one in comparisons for line in _depth_lines(one)]
    notes = list(dict.fromkeys(line for one in every for line in as_text(one.warnings)))
    return "\n".join([aligned(header, rows), *deep]) + bullets(notes)


def _other_pairs(comparison: Comparison) -> list[Comparison]:
    shown = (comparison.curve.label, comparison.baseline.label)
    return [one for one in comparison.by_model if (one.curve.label, one.baseline.label) != shown]


def frontier_text(found: Frontier) -> str:
    """One line a budget, and the trend."""
    rows = [
        [
            number(valley.flops),
            str(valley.sizes),
            number(valley.best_size),
            between(valley.best_size_interval),
            number(valley.error),
            between(valley.error_interval),
        ]
        for valley in found.valleys
    ]
    table = aligned(["FLOPs", "sizes", "best size", "90% interval", "error", "90% interval"], rows)
    trend = f"best size ~ C^{found.exponent:.3f} {between(found.exponent_interval)}; joint law: "
    return f"{table}\n{trend}{number(found.joint_exponent, 3)}" + bullets(as_text(found.warnings))


def coverage_text(found: Sequence[Coverage]) -> str:
    """One line a curve: shares held, and the ratio of the ends in brackets."""
    rows = [
        [
            one.curve.label,
            number(one.flops),
            *(f"{percent(one.held.get(name))} ({_width(one, name)})" for name in INTERVALS),
        ]
        for one in found
    ]
    return aligned(["strategy", "FLOPs", "curve 90%", "new run 90%", "calibrated"], rows)


def proposal_text(proposal: Proposal) -> str:
    """The runs, and the interval before and after."""
    runs = [[number(budget), str(count)] for budget, count in proposal.runs.items()]
    return (
        f"{proposal.curve.label}, to know the error at {number(proposal.target_flops)} FLOPs\n"
        f"{aligned(['budget', 'runs'], runs)}\n"
        f"  {number(proposal.flops)} FLOPs; interval of the curve now {between(proposal.interval_before)}, expected "
        f"{between(proposal.interval_after)}; an even grid for the same FLOPs {between(proposal.even_interval)}"
    )


def _width(one: Coverage, name: str) -> str:
    return f"x{one.width[name]:.2f}" if name in one.width else "-"


def _depth_lines(one: Comparison) -> list[str]:
    depth = one.details
    if depth is None:
        return []
    lines = [f"{one.curve.strategy}: all strategies together {between(depth.simultaneous_interval, as_percent=True)}"]
    if depth.one_floor_reduction is not None:
        lines[0] += f"; with one floor for both {percent(depth.one_floor_reduction)}"
    if depth.ranges is not None:
        for word, ends in (("better", depth.ranges.better), ("worse", depth.ranges.worse)):
            if ends is not None:
                lines.append(f"  {word} with 95% from {number(ends[0], 3)} to {number(ends[1], 3)} FLOPs")
        lines += [f"  the curves cross at {number(flops, 3)} FLOPs" for flops in depth.ranges.crossings]
    for gain in depth.currencies[1:]:
        shown = f"{percent(gain.cer_reduction)} {between(gain.cer_reduction_interval, as_percent=True)}"
        lines.append(f"  at {number(gain.flops)} {gain.name} FLOPs for both: CER saved {shown}")
    if depth.equal_hours is not None:
        ours, theirs = depth.equal_hours
        spent = f"for {number(ours.flops)} against {number(theirs.flops)} FLOPs"
        lines.append(
            f"  at {number(ours.hours, 3)} unique hours of audio for both: CER saved "
            f"{percent(ours.cer_reduction(theirs))} (measured, {spent})"
        )
    if depth.test_sampling is not None:
        lines.append(f"  another test of this kind would move it by {percent(depth.test_sampling)} (one sd)")
    return lines


def recommendation_text(answer: Recommendation) -> str:
    """What to do, what it will give, and the warnings."""
    if answer.prediction is None:
        return f"no recommendation: status {answer.status}" + bullets(as_text(answer.warnings))
    stages = "; ".join(f"{name} {amount:.3g}" for name, amount in (answer.stage_flops or {}).items())
    return (
        f"spend {number(answer.flops)} FLOPs {between(answer.flops_interval)} on {answer.prediction.curve.label}\n"
        f"  audio passed: {number(answer.audio_hours, 3)} hours; stages: {stages or 'not recorded'}\n"
        f"  expect CER {number(answer.prediction.cer)}, 90% interval of one run {between(answer.prediction.interval)}; "
        f"{number(answer.prediction.curve.extrapolation(answer.prediction.flops), 3)} times the largest fitted run; "
        f"status {answer.status}"
        + "".join(f"\n  {line}" for line in _allocation_lines(answer))
        + ("" if answer.cost is None else f"\n  {answer.cost.device_hours:.3g} device-hours, {answer.cost.usd:.3g} USD")
    ) + bullets(as_text(answer.warnings))


def _allocation_lines(answer: Recommendation) -> list[str]:
    lines = []
    if answer.lifetime_hours > 0.0:
        lines.append(
            f"{number(answer.lifetime_hours)} hours of recognition take {number(answer.inference_flops)} FLOPs more"
        )
    if (sizes := answer.sizes) is not None:
        lines.append(
            f"best sizes of {answer.prediction.curve.strategy if answer.prediction else ''}: "
            f"encoder {number(sizes.encoder_params, 3)} {between(sizes.encoder_params_interval)}, "
            f"LLM {number(sizes.llm_params, 3)} {between(sizes.llm_params_interval)} parameters, "
            f"{number(sizes.audio_hours, 3)} {between(sizes.audio_hours_interval)} hours: "
            f"CER {number(sizes.cer)} {between(sizes.cer_interval)}"
        )
        lines += [f"  ! {line}" for line in as_text(sizes.warnings)]
    if (shares := answer.shares) is not None:
        each = "; ".join(
            f"{name} {percent(share)} {between(shares.intervals[name], as_percent=True)}"
            for name, share in shares.shares.items()
        )
        saved = f"CER saved {percent(shares.cer_reduction)} {between(shares.cer_reduction_interval, as_percent=True)}"
        lines.append(f"best shares: {each}; {saved}")
        lines += [f"  ! {line}" for line in as_text(shares.warnings)]
    return lines


def _fit_document(curve: Curve) -> dict[str, Any]:
    fit = curve.fit
    return {
        "strategy": curve.strategy,
        "encoder": curve.encoder,
        "llm": curve.llm,
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
