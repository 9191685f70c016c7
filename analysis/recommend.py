"""Recommendations: which strategy and models, how many hours and FLOPs a stage, for a budget or for a wanted CER."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.cells import FLOPS, SECONDS_AN_HOUR
from analysis.curves import Curve, Curves
from analysis.intervals import LEVEL
from analysis.invert import ROUGH, crossing
from analysis.money import Cost
from analysis.notes import Note, Status, as_text
from analysis.predict import Prediction, predict
from analysis.remarks import MANY_EPOCHS
from analysis.table import Table
from scaling.errors import InputError
from scaling.hardware import Hardware

# A stage whose FLOPs differ by less than this between budgets is a fixed amount (it ends within a step of it).
SAME_FLOPS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """How to spend `flops`; None where the data do not say. Hours count every pass over the audio."""

    flops: float | None
    flops_interval: tuple[float, float] | None
    prediction: Prediction | None
    audio_hours: float | None
    stage_flops: Mapping[str, float] | None
    cost: Cost | None
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
            "extrapolation": prediction.curve.extrapolation(prediction.flops) if prediction else None,
            "status": self.status,
            "warnings": as_text(self.warnings),
        }


def recommend_for_flops(curves: Curves, table: Table, flops: float, hardware: Hardware | None = None) -> Recommendation:
    """The strategy and models with the lowest predicted CER at `flops`."""
    curve = curves.best(flops)
    notes = [Note("runner_up", _runner_up(curves, curve, flops))] if len(curves.curves) > 1 else []
    return _recommendation(curve, table, flops, (flops, flops), notes, hardware)


def recommend_for_cer(curves: Curves, table: Table, cer: float, hardware: Hardware | None = None) -> Recommendation:
    """The strategy and models that reach `cer` with the fewest FLOPs, and the interval of those FLOPs."""
    needed = {
        i: crossing(lambda flops, c=curve: c.cer(flops) - cer, curve.largest_flops)  # type: ignore[misc]
        for i, curve in enumerate(curves.curves)
        if curve.fit is not None
    }
    reached = {i: flops for i, flops in needed.items() if 0.0 < flops < math.inf}
    if not reached:
        return _unreached(curves, cer)
    i = min(reached, key=lambda i: (curves.curves[i].status == "too_few_points", reached[i]))
    curve, flops = curves.curves[i], reached[i]
    return _recommendation(curve, table, flops, _flops_interval(curve, cer, flops), [], hardware)


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
    notes: Sequence[Note],
    hardware: Hardware | None,
) -> Recommendation:
    prediction = predict(curve, flops)
    stages = stage_flops(curve, table, flops)
    cost = None if hardware is None else Cost(flops=flops, hardware=hardware)
    hours = _audio_hours(curve, table, flops, stages)
    return Recommendation(
        flops=flops,
        flops_interval=interval,
        prediction=prediction,
        audio_hours=hours,
        stage_flops=stages,
        cost=cost,
        status=curve.status,
        warnings=(*notes, *prediction.warnings, *_passes(curve, table, hours), *([] if cost is None else [cost.note])),
    )


def _unreached(curves: Curves, cer: float) -> Recommendation:
    if all(curve.fit is None for curve in curves.curves):
        note = Note("too_few_points", "no strategy has the two budgets that a law needs")
        status: Status = "too_few_points"
    else:
        note = Note("not_reached", f"no fitted law passes CER {cer:.4g}: {_floors(curves)}")
        status = "not_identified"
    return Recommendation(
        flops=None,
        flops_interval=None,
        prediction=None,
        audio_hours=None,
        stage_flops=None,
        cost=None,
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
        return crossing(lambda trial: float(fitted.interval({"C": [trial]})[side][0]) - cer, flops, ROUGH)

    return end(0), end(1)


def _runner_up(curves: Curves, best: Curve, flops: float) -> str:
    others = [curve for curve in curves.curves if curve is not best and curve.fit is not None]
    if not others:
        return "no other strategy could be fitted"
    second = min(others, key=lambda curve: curve.cer(flops))
    return f"{second.label} is next with CER {second.cer(flops):.4g} against {best.cer(flops):.4g}"


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
    models = (row.get("encoder") or None, row.get("llm") or None)
    return (row.get("strategy") or "all", *models) == (curve.strategy, curve.encoder, curve.llm) and row.get(
        "status", "ok"
    ) in ("ok", None, "")


def _stage(row: Mapping[str, Any], name: str) -> float:
    for stage in row["stages"]:
        if stage["name"] == name:
            return float(stage[FLOPS])
    raise InputError(f"runs: {row.get('key')} has no stage {name!r}, but other runs of {row.get('strategy')} have")


def _same(values: Sequence[float]) -> bool:
    return float(np.max(values)) <= (1.0 + SAME_FLOPS) * float(np.min(values))
