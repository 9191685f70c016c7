"""How a budget is spent over the stages of a strategy, and how many hours of audio it passes: as in the nearest run."""

import math
from collections.abc import Mapping, Sequence

from analysis.curves.curves import Curve
from analysis.forecasting.repetition import MANY_EPOCHS
from analysis.notes import Note
from analysis.tables.seed_averaged_points import curve_identity
from analysis.tables.table import Row, Table
from analysis.tables.usable_rows import FLOPS
from scaling.cost.amounts import SECONDS_AN_HOUR
from scaling.errors import InputError
from scaling.ledger.records import is_usable

SAME_FLOPS = 0.02
"""A stage whose FLOPs differ by less than this share between budgets is a fixed amount: a stage ends within a step."""


def stage_flops(curve: Curve, table: Table, flops: float) -> dict[str, float] | None:
    """FLOPs of each stage at a budget: fixed amounts stay, the rest is divided as in the nearest run.

    None where the table has no stages. Raises InputError where runs of the curve differ in their stages.
    """
    runs = [row for row in _runs(curve, table) if row.get("stages")]
    if not runs:
        return None
    stages = {stage["name"]: float(stage[FLOPS]) for stage in _nearest(runs, flops)["stages"]}
    several_budgets = len({row.get("budget_flops") for row in runs}) > 1
    fixed = {name for name in stages if _is_fixed([_stage_flops(row, name) for row in runs]) and several_budgets}
    fixed_flops = sum(amount for name, amount in stages.items() if name in fixed)
    other_flops = sum(amount for name, amount in stages.items() if name not in fixed)
    if other_flops <= 0.0 or fixed_flops >= flops:
        return {name: amount * flops / (fixed_flops + other_flops) for name, amount in stages.items()}
    return {
        name: amount if name in fixed else amount * (flops - fixed_flops) / other_flops
        for name, amount in stages.items()
    }


def audio_hours(curve: Curve, table: Table, flops: float, stages: Mapping[str, float] | None) -> float | None:
    """Hours of audio passed, by the nearest run's FLOPs, of its stages where known; None where no run says them."""
    runs = [row for row in _runs(curve, table) if row.get("audio_seconds")]
    if not runs:
        return None
    nearest = _nearest(runs, flops)
    recorded = nearest.get("stages") or []
    if stages and recorded and all(stage.get("audio_seconds") is not None and stage[FLOPS] > 0.0 for stage in recorded):
        seconds = sum(stage["audio_seconds"] * stages.get(stage["name"], 0.0) / stage[FLOPS] for stage in recorded)
    else:
        seconds = float(nearest["audio_seconds"]) * flops / float(nearest[FLOPS])
    return float(seconds) / SECONDS_AN_HOUR


def audio_notes(curve: Curve, table: Table, hours: float | None) -> list[Note]:
    """A note where `hours` are more passes over the audio that exists than the law was fitted on."""
    existing = [float(row["train_hours"]) for row in _runs(curve, table) if row.get("train_hours")]
    if not existing or hours is None or hours <= MANY_EPOCHS * max(existing):
        return []
    passes = f"{hours / max(existing):.1f} times the {max(existing):.4g} hours of audio that exist"
    return [Note("audio_runs_out", f"The run would pass over {hours:.4g} hours, {passes}.")]


def _runs(curve: Curve, table: Table) -> list[Row]:
    return [row for row in table.rows if curve_identity(row) == curve.identity and is_usable(row)]


def _nearest(runs: Sequence[Row], flops: float) -> Row:
    return min(runs, key=lambda row: abs(math.log(float(row[FLOPS]) / flops)))


def _stage_flops(row: Row, name: str) -> float:
    for stage in row["stages"]:
        if stage["name"] == name:
            return float(stage[FLOPS])
    raise InputError(f"runs: {row.get('key')} has no stage {name!r}, but other runs of {row.get('strategy')} have")


def _is_fixed(amounts: Sequence[float]) -> bool:
    return max(amounts) <= (1.0 + SAME_FLOPS) * min(amounts)
