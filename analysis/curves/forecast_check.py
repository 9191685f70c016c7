"""Forecasts against the truth: what the fits said about runs they have not seen, and what those runs scored."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.curves.curves import Curves
from analysis.curves.predict import Prediction, predict
from analysis.tables.table import read_table
from scaling.errors import InputError

FOLDER = "forecast"
"""Where a study's forecast runs lie, apart from the table that is fitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """One unseen run: its prediction at the FLOPs it really took, and the CER it really scored."""

    prediction: Prediction
    truth: float
    seed: int | None

    @property
    def inside(self) -> bool | None:
        """Whether the truth lies in the interval of one new run; None where the data gave no interval."""
        interval = self.prediction.interval
        return None if interval is None else interval[0] <= self.truth <= interval[1]

    def as_dict(self) -> dict[str, Any]:
        """The forecast as `forecast --json` prints it: the prediction, then `seed`, `truth` and `inside`."""
        return {**self.prediction.as_dict(), "seed": self.seed, "truth": self.truth, "inside": self.inside}


def forecasts(curves: Curves, folder: Path) -> list[Forecast]:
    """Every run of `folder`/forecast against the fits of `folder`. Raises InputError where there is no such run."""
    path = folder / FOLDER / "runs.jsonl"
    if not path.is_file():
        raise InputError(f"{path}: no forecast runs; write their study with `recommend --study` and run it there")
    return [
        Forecast(
            prediction=predict(curves.best(row["flops"], row["strategy"], row["encoder"], row["llm"]), row["flops"]),
            truth=row["cer"],
            seed=row.get("seed"),
        )
        for row in read_table(path).rows
        if row.get("status", "ok") == "ok"
    ]


def forecasts_text(found: list[Forecast]) -> str:
    """Prediction, interval and truth side by side, one run a line."""
    return "\n".join(_line(forecast) for forecast in found)


def _line(forecast: Forecast) -> str:
    said = forecast.prediction
    run = f"{said.curve.strategy} on {said.curve.encoder} + {said.curve.llm} at {said.flops:.3g} FLOPs"
    reach = f"{said.curve.extrapolation(said.flops):.2g} x the largest fitted"
    if said.cer is None or said.interval is None:
        return f"{run} ({reach}): no prediction ({said.status}); truth {forecast.truth:.4f}"
    low, high = said.interval
    place = "inside" if forecast.inside else "outside"
    return (
        f"{run} ({reach}): predicted {said.cer:.4f}, {said.level:.0%} interval {low:.4f} to {high:.4f};"
        f" truth {forecast.truth:.4f}, {place}"
    )
