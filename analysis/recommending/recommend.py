"""Recommendations: which strategy and models, how many hours and FLOPs a stage, for a budget or for a wanted CER."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.curves.curves import Curve, Curves, rank
from analysis.curves.data_checks import MANY_EPOCHS, check_shared_scale
from analysis.curves.predict import Prediction, predict
from analysis.fitting.intervals import interval
from analysis.fitting.root import ROUGH, crossing
from analysis.notes import Note, Status, as_text
from analysis.recommending.best_shares import BestShares, best_shares
from analysis.recommending.best_sizes import BestSizes, best_sizes
from analysis.recommending.budgets import HardwareCost
from analysis.recommending.inference_cost import flops_an_hour
from analysis.recommending.winners_curse import WinnersCurse, winners_curse
from analysis.tables.points import FLOPS, SECONDS_AN_HOUR, curve_identity, points_of
from analysis.tables.table import Table
from scaling.cost.hardware import Hardware
from scaling.errors import InputError
from scaling.ledger.records import is_usable
from scaling.scoring.interval import LEVEL

# A stage whose FLOPs differ by less than this between budgets is a fixed amount (it ends within a step of it).
SAME_FLOPS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """How to spend `flops` of training; None where the data do not say. Hours count every pass over the audio.

    `inference_flops` are those of `lifetime_hours` of recognition with the models recommended. `choice` is what other
    curves contended, `sizes` and `shares` are the best sizes and stage shares where the runs identify them.
    """

    flops: float | None
    flops_interval: tuple[float, float] | None
    prediction: Prediction | None
    audio_hours: float | None
    stage_flops: Mapping[str, float] | None
    cost: HardwareCost | None
    lifetime_hours: float
    inference_flops: float
    choice: WinnersCurse | None
    sizes: BestSizes | None
    shares: BestShares | None
    status: Status
    warnings: tuple[Note, ...]

    def as_dict(self) -> dict[str, Any]:
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
            "contenders": [] if self.choice is None else [curve.label for curve in self.choice.contenders],
            "curve_interval_in_spite_of_choice": None if self.choice is None else self.choice.interval,
            "best_sizes": None if self.sizes is None else self.sizes.as_dict(),
            "best_shares": None if self.shares is None else self.shares.as_dict(),
            "extrapolation": prediction.curve.extrapolation(prediction.flops) if prediction else None,
            "status": self.status,
            "warnings": as_text(self.warnings),
        }


def recommend_for_flops(
    curves: Curves, table: Table, flops: float, hardware: Hardware | None = None, lifetime_hours: float = 0.0
) -> Recommendation:
    """The strategy and models with the lowest predicted CER for `flops`, of which `lifetime_hours` of recognition take
    their part first: smaller models then leave more for training.
    """
    candidates = [(curve, flops - _inference(curve, table, lifetime_hours)) for curve in curves.curves]
    candidates = [(curve, left) for curve, left in candidates if left > 0.0]
    if not candidates:
        message = f"{lifetime_hours:.4g} hours of recognition cost any of the models more than {flops:.4g} FLOPs"
        return _nothing("not_identified", Note("lifetime_over_budget", message))
    curve, left = min(candidates, key=lambda candidate: rank(*candidate))
    notes = [Note("runner_up", _runner_up(candidates, curve))] if len(curves.curves) > 1 else []
    return _recommendation(curve, table, left, (left, left), candidates, notes, hardware, lifetime_hours)


def recommend_for_cer(
    curves: Curves, table: Table, cer: float, hardware: Hardware | None = None, lifetime_hours: float = 0.0
) -> Recommendation:
    """The strategy and models that reach `cer` with the fewest FLOPs, with those of `lifetime_hours` of recognition,
    and the interval of the training FLOPs.
    """
    needed = {
        i: crossing(lambda flops, c=curve: c.cer(flops) - cer, curve.largest_flops)  # type: ignore[misc]
        for i, curve in enumerate(curves.curves)
        if curve.fit is not None
    }
    reached = {i: flops for i, flops in needed.items() if 0.0 < flops < math.inf}
    if not reached:
        return _unreached(curves, cer)

    def order(i: int) -> tuple[bool, float]:
        curve = curves.curves[i]
        return curve.status == "too_few_points", reached[i] + _inference(curve, table, lifetime_hours)

    i = min(reached, key=order)
    curve, flops = curves.curves[i], reached[i]
    interval = _flops_interval(curve, cer, flops)
    return _recommendation(curve, table, flops, interval, [(curve, flops)], [], hardware, lifetime_hours)


def stage_flops(curve: Curve, table: Table, flops: float) -> dict[str, float] | None:
    """Each stage's FLOPs at a budget: fixed amounts stay, the rest is shared as in the nearest run.

    None where the table has no stages.
    """
    runs = [row for row in table.rows if _belongs(row, curve) and row.get("stages")]
    if not runs:
        return None
    nearest = min(runs, key=lambda row: abs(math.log(float(row[FLOPS]) / flops)))
    seen = {stage["name"]: [_stage(row, stage["name"]) for row in runs] for stage in nearest["stages"]}
    constant = {
        name: len(runs) > 1 and len({row.get("budget_flops") for row in runs}) > 1 and _same(values)
        for name, values in seen.items()
    }
    spent = {stage["name"]: float(stage[FLOPS]) for stage in nearest["stages"]}
    kept = sum(amount for name, amount in spent.items() if constant[name])
    shared = sum(amount for name, amount in spent.items() if not constant[name])
    if shared <= 0.0 or kept >= flops:
        return {name: amount * flops / (kept + shared) for name, amount in spent.items()}
    return {name: amount if constant[name] else amount * (flops - kept) / shared for name, amount in spent.items()}


def _recommendation(
    curve: Curve,
    table: Table,
    flops: float,
    interval: tuple[float, float],
    candidates: Sequence[tuple[Curve, float]],
    notes: Sequence[Note],
    hardware: Hardware | None,
    lifetime_hours: float,
) -> Recommendation:
    prediction = predict(curve, flops)
    stages = stage_flops(curve, table, flops)
    cost = None if hardware is None else HardwareCost(flops=flops, hardware=hardware)
    hours = _audio_hours(curve, table, flops, stages)
    inference = _inference(curve, table, lifetime_hours)
    choice = winners_curse(curve, candidates)
    sizes = best_sizes(table, curve.strategy, flops + inference, lifetime_hours)
    shares = best_shares(table, curve, flops)
    refusals = [found for found in (sizes, shares) if isinstance(found, Note)]
    return Recommendation(
        flops=flops,
        flops_interval=interval,
        prediction=prediction,
        audio_hours=hours,
        stage_flops=stages,
        cost=cost,
        lifetime_hours=lifetime_hours,
        inference_flops=inference,
        choice=choice,
        sizes=None if isinstance(sizes, Note) else sizes,
        shares=None if isinstance(shares, Note) else shares,
        status=curve.status,
        warnings=(
            *notes,
            *([] if choice is None else choice.notes),
            *prediction.warnings,
            *check_shared_scale(table, points_of(table)[0]),
            *_passes(curve, table, hours),
            *refusals,
            *([] if cost is None else [cost.note]),
        ),
    )


def _inference(curve: Curve, table: Table, lifetime_hours: float) -> float:
    """FLOPs to recognise `lifetime_hours` of audio with a curve's models."""
    return lifetime_hours * flops_an_hour(curve.encoder, curve.llm, table.path.parent) if lifetime_hours > 0.0 else 0.0


def _unreached(curves: Curves, cer: float) -> Recommendation:
    if all(curve.fit is None for curve in curves.curves):
        return _nothing("too_few_points", Note("too_few_points", "no strategy has the two budgets that a law needs"))
    return _nothing("not_identified", Note("not_reached", f"no fitted law passes CER {cer:.4g}: {_floors(curves)}"))


def _nothing(status: Status, note: Note) -> Recommendation:
    return Recommendation(
        flops=None,
        flops_interval=None,
        prediction=None,
        audio_hours=None,
        stage_flops=None,
        cost=None,
        lifetime_hours=0.0,
        inference_flops=0.0,
        choice=None,
        sizes=None,
        shares=None,
        status=status,
        warnings=(note,),
    )


def _floors(curves: Curves) -> str:
    floors = {curve.label: curve.fit.theta.get("E", 0.0) for curve in curves.curves if curve.fit is not None}
    return "floors " + ", ".join(
        f"{label} {floor:.4g}" for label, floor in sorted(floors.items(), key=lambda item: item[1])
    )


def _flops_interval(curve: Curve, cer: float, flops: float) -> tuple[float, float]:
    """All FLOPs at which the curve may equal `cer`."""
    fitted = curve.fit
    if fitted is None or fitted.dof < 1:
        return 0.0, math.inf

    def end(side: int) -> float:
        return crossing(lambda trial: float(interval(fitted, {"C": [trial]})[side][0]) - cer, flops, ROUGH)

    return end(0), end(1)


def _runner_up(candidates: Sequence[tuple[Curve, float]], best: Curve) -> str:
    found = {curve.label: curve.cer(flops) for curve, flops in candidates if curve.fit is not None}
    own = found.pop(best.label, math.nan)
    if not found:
        return "no other strategy could be fitted"
    second = min(found, key=lambda label: found[label])
    return f"{second} is next with CER {found[second]:.4g} against {own:.4g}"


def _audio_hours(curve: Curve, table: Table, flops: float, stages: Mapping[str, float] | None) -> float | None:
    """Hours of audio passed through training, in proportion to FLOPs (stage by stage) from the nearest run."""
    runs = [row for row in table.rows if _belongs(row, curve) and row.get("audio_seconds")]
    if not runs:
        return None
    nearest = min(runs, key=lambda row: abs(math.log(float(row[FLOPS]) / flops)))
    known = nearest.get("stages") or []
    if stages and known and all(stage.get("audio_seconds") is not None and stage[FLOPS] > 0.0 for stage in known):
        seconds = sum(stage["audio_seconds"] * stages.get(stage["name"], 0.0) / stage[FLOPS] for stage in known)
    else:
        seconds = float(nearest["audio_seconds"]) * flops / float(nearest[FLOPS])
    return float(seconds) / SECONDS_AN_HOUR


def _passes(curve: Curve, table: Table, hours: float | None) -> list[Note]:
    """What the audio that exists has to say: the law was not fitted on as many passes over it."""
    known = [float(row["train_hours"]) for row in table.rows if _belongs(row, curve) and row.get("train_hours")]
    if not known or hours is None or hours <= MANY_EPOCHS * max(known):
        return []
    message = (
        f"{hours:.4g} hours are {hours / max(known):.1f} passes over the {max(known):.4g} that exist: get more audio"
    )
    return [Note("audio_runs_out", message)]


def _belongs(row: Mapping[str, Any], curve: Curve) -> bool:
    return curve_identity(row) == curve.identity and is_usable(row)


def _stage(row: Mapping[str, Any], name: str) -> float:
    for stage in row["stages"]:
        if stage["name"] == name:
            return float(stage[FLOPS])
    raise InputError(f"runs: {row.get('key')} has no stage {name!r}, but other runs of {row.get('strategy')} have")


def _same(values: Sequence[float]) -> bool:
    return float(np.max(values)) <= (1.0 + SAME_FLOPS) * float(np.min(values))
