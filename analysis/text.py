"""Answers as the commands print them in a terminal."""

from collections.abc import Sequence

from analysis.comparing.comparison import Comparison
from analysis.curves.coverage import INTERVALS, Coverage
from analysis.curves.curves import FAR, Curve, Curves
from analysis.curves.predict import Prediction
from analysis.fitting.model_selection import Candidate
from analysis.formatting import Interval, aligned, between, bullets, number, percent
from analysis.notes import Note, as_text
from analysis.recommending.isoflop_frontier import Frontier
from analysis.recommending.next_runs import Proposal
from analysis.recommending.recommend import Recommendation
from scaling.system.console import one_line


def fits_document(curves: Curves) -> dict[str, object]:
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
    notes = [f"{whose}: {note}" for note, whose in curves.own_notes]
    return table + bullets(as_text(curves.notes) + notes)


def laws_document(
    candidates: Sequence[Candidate], answers: Interval | None, notes: Sequence[Note]
) -> dict[str, object]:
    """What `laws --json` prints, the best forecaster first; `answers` is the range of all answers."""
    return {
        "laws": [candidate.as_dict() for candidate in candidates],
        "best": candidates[0].fit.law.name,
        "answer_spread": answers,
        "warnings": as_text(notes),
    }


def laws_text(candidates: Sequence[Candidate], answers: Interval | None, notes: Sequence[Note]) -> str:
    """One line a law and objective, the best forecaster first; `answers` is the range of all answers."""
    rows = []
    for candidate in candidates:
        fit, calibration = candidate.fit, candidate.calibration
        error, held = (None, None) if calibration is None else (calibration.error, calibration.held)
        numbers = (percent(error), percent(held), number(candidate.aicc), number(candidate.answer))
        rows.append([fit.law.name, fit.loss.name, *numbers, fit.status])
    table = aligned(["law", "objective", "forecast error", "held by 90%", "AICc", "answer", "status"], rows)
    spread = "" if answers is None else f"\nover laws and objectives the answer spreads over {between(answers)}"
    return table + spread + bullets(as_text(notes))


def prediction_text(prediction: Prediction) -> str:
    """A sentence or two, and the warnings."""
    curve = prediction.curve
    extrapolation = curve.extrapolation(prediction.flops)
    return (
        f"{curve.label} at {prediction.flops:.4g} FLOPs: {_expected(prediction)}, "
        f"of the curve {between(prediction.curve_interval)}\n"
        + _calibrated_line(prediction)
        + f"  {number(extrapolation, 3)} times the largest fitted run; status {prediction.status}"
    ) + bullets(as_text(prediction.warnings))


def _expected(prediction: Prediction) -> str:
    """The CER and the interval of one new run; a range alone where no forecast was ever tested so far away."""
    if prediction.interval is not None and prediction.curve.extrapolation(prediction.flops) > FAR:
        low, high = prediction.interval
        return f"CER somewhere from {low:.2g} to {high:.2g} ({prediction.level:.0%} of new runs)"
    run = f"{prediction.level:.0%} interval of one new run {between(prediction.interval)}"
    return f"CER {number(prediction.cer)}, {run}"


def _calibrated_line(prediction: Prediction) -> str:
    backtest = prediction.curve.calibration
    if backtest is None or prediction.calibrated_interval is None:
        return ""
    held = f"held {backtest.held_calibrated:.0%} of {backtest.forecasts} forecasts inside the data"
    return f"  calibrated {between(prediction.calibrated_interval)}: {held}, the plain one {backtest.held:.0%}\n"


def rows_text(predictions: Sequence[Prediction]) -> str:
    """One line a point, the warnings below."""
    columns = list(predictions[0].columns)
    names = [name for name in INTERVALS if any(getattr(prediction, name) is not None for prediction in predictions)]
    rows = [
        [
            *(number(prediction.columns[name]) for name in columns),
            number(prediction.cer, 6),
            *(between(getattr(prediction, name)) for name in names),
        ]
        for prediction in predictions
    ]
    header = [*columns, "value", *(INTERVALS[name] for name in names)]
    return aligned(header, rows) + _warnings(predictions)


def comparisons_text(comparisons: Sequence[Comparison]) -> str:
    """One line a strategy with its best models, then one for each other pair that both were run with."""
    with_pairs = [pair for comparison in comparisons for pair in (comparison, *comparison.other_pairs)]
    rows = [
        [
            pair.curve.label,
            pair.baseline.label,
            number(pair.flops),
            percent(pair.cer_reduction),
            between(pair.cer_reduction_interval, as_percent=True),
            percent(pair.flops_saved),
            between(pair.flops_saved_interval, as_percent=True),
            pair.status,
        ]
        for pair in with_pairs
    ]
    header = ["strategy", "baseline", "FLOPs", "CER saved", "90% interval", "FLOPs saved", "90% interval", "status"]
    details = [line for comparison in comparisons for line in _detail_lines(comparison)]
    return "\n".join([aligned(header, rows), *details]) + _warnings(with_pairs)


def frontier_text(frontier: Frontier) -> str:
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
        for valley in frontier.valleys
    ]
    table = aligned(["FLOPs", "sizes", "best size", "90% interval", "error", "90% interval"], rows)
    trend = f"best size ~ C^{frontier.exponent:.3f} {between(frontier.exponent_interval)}; joint law: "
    return f"{table}\n{trend}{number(frontier.joint_exponent, 3)}" + bullets(as_text(frontier.warnings))


def coverage_text(coverages: Sequence[Coverage]) -> str:
    """One line a curve: shares held, and the ratio of the ends in brackets."""
    names = {name: title for name, title in INTERVALS.items() if any(name in coverage.held for coverage in coverages)}
    rows = [
        [
            coverage.curve.label,
            number(coverage.flops),
            *(f"{percent(coverage.held.get(name))} ({_width(coverage, name)})" for name in names),
        ]
        for coverage in coverages
    ]
    notes = [note for coverage in coverages for note in coverage.curve.warnings]
    return aligned(["strategy", "FLOPs", *names.values()], rows) + bullets(as_text(notes))


def proposal_text(proposal: Proposal) -> str:
    """The runs, and the interval before and after."""
    runs = [[number(budget), str(count)] for budget, count in proposal.runs.items()]
    return (
        f"{proposal.curve.label}, to know the error at {number(proposal.target_flops)} FLOPs\n"
        f"{aligned(['budget', 'runs'], runs)}\n"
        f"  {number(proposal.flops)} FLOPs; interval of the curve now {between(proposal.interval_before)}, expected "
        f"{between(proposal.interval_after)}; an even grid for the same FLOPs {between(proposal.even_interval)}"
        + bullets(as_text(proposal.curve.warnings))
    )


def _width(coverage: Coverage, name: str) -> str:
    return f"x{coverage.width[name]:.2f}" if name in coverage.width else "-"


def _warnings(answers: Sequence[Prediction] | Sequence[Comparison]) -> str:
    """The warnings of all answers, each once."""
    return bullets(as_text(note for answer in answers for note in answer.warnings))


def _detail_lines(comparison: Comparison) -> list[str]:
    details = comparison.details
    if details is None:
        return []
    simultaneous = between(details.cer_reduction_simultaneous_interval, as_percent=True)
    lines = [f"{comparison.curve.strategy}: all strategies together {simultaneous}"]
    if details.cer_reduction_one_floor is not None:
        lines[0] += f"; with one floor for both {percent(details.cer_reduction_one_floor)}"
    for word, ends in (("better", details.better_between), ("worse", details.worse_between)):
        if ends is not None:
            lines.append(f"  {word} with 95% from {number(ends[0], 3)} to {number(ends[1], 3)} FLOPs")
    lines += [f"  the curves cross at {number(flops, 3)} FLOPs" for flops in details.crossings]
    for savings in details.currencies[1:]:
        saved = f"{percent(savings.cer_reduction)} {between(savings.cer_reduction_interval, as_percent=True)}"
        lines.append(f"  at {number(savings.flops)} {savings.currency_name} FLOPs for both: CER saved {saved}")
    if (equal := details.equal_unique_hours) is not None:
        spent = f"for {number(equal.flops)} against {number(equal.baseline_flops)} FLOPs"
        lines.append(
            f"  at {number(equal.hours, 3)} unique hours of audio for both: CER saved "
            f"{percent(equal.cer_reduction)} (measured, {spent})"
        )
    if details.cer_reduction_test_sampling is not None:
        moved = percent(details.cer_reduction_test_sampling)
        lines.append(f"  another test of this kind would move it by {moved} (one sd)")
    return lines


def recommendation_text(answer: Recommendation) -> str:
    """What to do, what it will give, and the warnings."""
    if answer.prediction is None:
        return f"no recommendation: status {answer.status}" + bullets(as_text(answer.warnings))
    stages = "; ".join(f"{one_line(name)} {amount:.3g}" for name, amount in (answer.stage_flops or {}).items())
    return (
        f"spend {number(answer.flops)} FLOPs {between(answer.flops_interval)} on {answer.prediction.curve.label}\n"
        f"  audio passed: {number(answer.audio_hours, 3)} hours; stages: {stages or 'not recorded'}\n"
        f"  expect {_expected(answer.prediction)}; "
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
        lines += [f"  ! {one_line(line)}" for line in as_text(sizes.warnings)]
    if (shares := answer.shares) is not None:
        each = "; ".join(
            f"{one_line(name)} {percent(share)} {between(shares.intervals[name], as_percent=True)}"
            for name, share in shares.shares.items()
        )
        saved = f"CER saved {percent(shares.cer_reduction)} {between(shares.cer_reduction_interval, as_percent=True)}"
        lines.append(f"best shares: {each}; {saved}")
        lines += [f"  ! {one_line(line)}" for line in as_text(shares.warnings)]
    return lines


def _fit_document(curve: Curve) -> dict[str, object]:
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
