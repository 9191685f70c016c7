"""Recommendations: which strategy and models, how many hours and FLOPs a stage, for a budget or for a wanted CER."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.comparing.ratio import DrawnRatio, ratio_of
from analysis.curves.curves import FAR, VERY_FAR, Curve, Curves, rank
from analysis.curves.data_checks import check_shared_scale
from analysis.curves.predict import Prediction, predict
from analysis.fitting.intervals import Interval
from analysis.fitting.root import ROUGH, crossing
from analysis.notes import Note, Status, as_document, as_text
from analysis.recommending.best_shares import BestShares, best_shares
from analysis.recommending.best_sizes import BestSizes, best_sizes
from analysis.recommending.budgets import HardwareCost, training_price
from analysis.recommending.inference_cost import flops_an_hour
from analysis.recommending.stage_spending import audio_hours, audio_notes, stage_flops
from analysis.recommending.winners_curse import WinnersCurse, winners_curse
from analysis.tables.points import points_of
from analysis.tables.table import Table
from scaling.cost.hardware import Hardware
from scaling.scoring.interval import LEVEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """How to spend `flops` of training; None where the data do not say. Hours count every pass over the audio.

    `inference_flops` are those of `lifetime_hours` of recognition with the models recommended. `winners_curse` is what
    the choice among curves does to the prediction; `sizes` and `shares` are the best sizes of the models and shares of
    the stages where the runs identify them.
    """

    status: Status
    warnings: tuple[Note, ...]
    flops: float | None = None
    flops_interval: Interval | None = None
    prediction: Prediction | None = None
    audio_hours: float | None = None
    stage_flops: Mapping[str, float] | None = None
    cost: HardwareCost | None = None
    lifetime_hours: float = 0.0
    inference_flops: float = 0.0
    winners_curse: WinnersCurse | None = None
    sizes: BestSizes | None = None
    shares: BestShares | None = None

    def as_dict(self) -> dict[str, object]:
        """The recommendation as `recommend --json` prints it."""
        prediction = self.prediction
        return {
            "flops": self.flops,
            "flops_interval": self.flops_interval,
            "strategy": prediction.curve.strategy if prediction else None,
            "encoder": prediction.curve.encoder if prediction else None,
            "llm": prediction.curve.llm if prediction else None,
            "cer": prediction.cer if prediction else None,
            "interval": prediction.interval if prediction else None,
            "level": LEVEL,
            "audio_hours": self.audio_hours,
            "stage_flops": self.stage_flops,
            "cost": None if self.cost is None else self.cost.as_dict(),
            "lifetime_hours": self.lifetime_hours,
            "inference_flops": self.inference_flops,
            "contenders": []
            if self.winners_curse is None
            else [curve.label for curve in self.winners_curse.contenders],
            "curve_interval_in_spite_of_choice": None if self.winners_curse is None else self.winners_curse.interval,
            "best_sizes": None if self.sizes is None else as_document(self.sizes),
            "best_shares": None if self.shares is None else as_document(self.shares),
            "extrapolation": prediction.curve.extrapolation(prediction.flops) if prediction else None,
            "status": self.status,
            "warnings": as_text(self.warnings),
        }


def recommend_for_flops(
    curves: Curves, table: Table, flops: float, hardware: Hardware | None = None, lifetime_hours: float = 0.0
) -> Recommendation:
    """The strategy and models with the lowest expected error for `flops`, of which `lifetime_hours` of recognition take
    their part first: smaller models then leave more for training.
    """
    return recommend_for_budget(curves, table, lambda _: flops, hardware, lifetime_hours)


def recommend_for_budget(
    curves: Curves,
    table: Table,
    flops_of: Callable[[Curve], float],
    hardware: Hardware | None = None,
    lifetime_hours: float = 0.0,
) -> Recommendation:
    """The same for a budget that pays so many FLOPs of each curve: money buys more where a step is larger."""
    table = curves.used(table)
    budgets = [(curve, flops_of(curve)) for curve in curves.curves]
    training = [(curve, flops - _inference_flops(curve, table, lifetime_hours)) for curve, flops in budgets]
    candidates = [(curve, training_flops) for curve, training_flops in training if training_flops > 0.0]
    if not candidates:
        most = max(flops for _, flops in budgets)
        message = f"{lifetime_hours:.4g} hours of recognition cost any of the models more than {most:.4g} FLOPs."
        return Recommendation(status="not_identified", warnings=(Note("lifetime_over_budget", message),))
    curve, budget = min(candidates, key=lambda candidate: rank(*candidate))
    notes = [Note("runner_up", _runner_up(candidates))] if len(curves.curves) > 1 else []
    notes += _choice_of_all_runs(candidates, curve)
    return _recommendation(curve, table, budget, (budget, budget), candidates, notes, hardware, lifetime_hours)


def recommend_for_cer(
    curves: Curves, table: Table, cer: float, hardware: Hardware | None = None, lifetime_hours: float = 0.0
) -> Recommendation:
    """The strategy and models that reach `cer` with the fewest FLOPs, with those of `lifetime_hours` of recognition,
    and the interval of the training FLOPs.
    """
    table = curves.used(table)
    needed = [(curve, _flops_to_reach(curve, cer)) for curve in curves.curves if curve.answers]
    reaching = [(curve, flops) for curve, flops in needed if 0.0 < flops <= VERY_FAR * curve.largest_flops]
    if not reaching:
        return _unreached(curves, cer)

    def order(candidate: tuple[Curve, float]) -> tuple[bool, float]:
        curve, flops = candidate
        return curve.status == "too_few_points", flops + _inference_flops(curve, table, lifetime_hours)

    curve, flops = min(reaching, key=order)
    ends = _flops_interval(curve, cer, flops)
    return _recommendation(curve, table, flops, ends, [(curve, flops)], [], hardware, lifetime_hours)


def _recommendation(
    curve: Curve,
    table: Table,
    flops: float,
    flops_interval: Interval,
    candidates: Sequence[tuple[Curve, float]],
    notes: Sequence[Note],
    hardware: Hardware | None,
    lifetime_hours: float,
) -> Recommendation:
    prediction = predict(curve, flops)
    stages = stage_flops(curve, table, flops)
    cost = None if hardware is None else HardwareCost(flops=flops, price=training_price(curve, table, hardware))
    hours = audio_hours(curve, table, flops, stages)
    inference = _inference_flops(curve, table, lifetime_hours)
    curse = winners_curse(curve, candidates) if curve.extrapolation(flops) <= FAR else None
    sizes = best_sizes(table, curve.strategy, flops + inference, lifetime_hours)
    shares = best_shares(table, curve, flops)
    refusals = [answer for answer in (sizes, shares) if isinstance(answer, Note)]
    return Recommendation(
        flops=flops,
        flops_interval=flops_interval,
        prediction=prediction,
        audio_hours=hours,
        stage_flops=stages,
        cost=cost,
        lifetime_hours=lifetime_hours,
        inference_flops=inference,
        winners_curse=curse,
        sizes=None if isinstance(sizes, Note) else sizes,
        shares=None if isinstance(shares, Note) else shares,
        status=curve.status,
        warnings=(
            *notes,
            *([] if curse is None else curse.notes),
            *prediction.warnings,
            *check_shared_scale(table, points_of(table)[0]),
            *audio_notes(curve, table, hours),
            *refusals,
            *([] if cost is None else [cost.note]),
        ),
    )


def _inference_flops(curve: Curve, table: Table, lifetime_hours: float) -> float:
    """FLOPs to recognise `lifetime_hours` of audio with a curve's models."""
    return lifetime_hours * flops_an_hour(curve.encoder, curve.llm, table.path.parent) if lifetime_hours > 0.0 else 0.0


def _unreached(curves: Curves, cer: float) -> Recommendation:
    if not any(curve.answers for curve in curves.curves):
        note = Note("too_few_points", "No strategy was run at the two budgets that an answer needs.")
        return Recommendation(status="too_few_points", warnings=(note,))
    least = {curve.label: curve.cer(VERY_FAR * curve.largest_flops) for curve in curves.curves if curve.answers}
    each = ", ".join(f"{label} {value:.4g}" for label, value in sorted(least.items(), key=lambda item: item[1]))
    what = f"No curve reaches CER {cer:.4g} within {VERY_FAR:.0f} times the FLOPs of its largest run."
    note = Note("not_reached", f"{what} The lowest there: {each}.")
    return Recommendation(status="not_identified", warnings=(note,))


def _flops_to_reach(curve: Curve, cer: float) -> float:
    return crossing(lambda flops: curve.cer(flops) - cer, curve.largest_flops)


def _flops_interval(curve: Curve, cer: float, flops: float) -> Interval:
    """All FLOPs at which the curve may equal `cer`."""
    if curve.ends({"C": [flops]}, LEVEL) is None:
        return 0.0, math.inf

    def end(side: int) -> float:
        return crossing(lambda trial: _end(curve, trial, side) - cer, flops, ROUGH)

    return end(0), end(1)


def _end(curve: Curve, flops: float, side: int) -> float:
    ends = curve.ends({"C": [flops]}, LEVEL)
    return math.nan if ends is None else float(ends[side][0])


def _runner_up(candidates: Sequence[tuple[Curve, float]]) -> str:
    """Who came second, by how much, and how likely it is the better one."""
    ranked = sorted((pair for pair in candidates if pair[0].answers), key=lambda pair: rank(*pair))
    if len(ranked) < 2:
        return "No other strategy or model pair was run at two budgets, so nothing comes second."
    (first, first_flops), (second, second_flops) = ranked[:2]
    message = f"{second.label} comes second"
    if max(first.extrapolation(first_flops), second.extrapolation(second_flops)) <= FAR:
        message += f" with CER {second.cer(second_flops):.4g} against {first.cer(first_flops):.4g}"
    ratio = ratio_of(first, second)
    if not isinstance(ratio, DrawnRatio):
        return f"{message}."
    better = float((ratio.draws(np.array([first_flops]), np.array([second_flops])) > 0.0).mean())
    return f"{message}. It is the better one with a probability of {better:.0%}."


def _choice_of_all_runs(candidates: Sequence[tuple[Curve, float]], best: Curve) -> list[Note]:
    """What the choice would be with the runs that were set aside as failed."""
    if all(curve.of_all_runs is None for curve, _ in candidates):
        return []
    curve, _ = min(((curve.as_of_all_runs(), flops) for curve, flops in candidates), key=lambda pair: rank(*pair))
    verb = "would still be" if curve.label == best.label else "would be"
    return [Note("set_aside_effect", f"With the runs that were set aside, the choice {verb} {curve.label}.")]
