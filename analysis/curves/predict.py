"""Predictions: the error at a budget, with the interval of one new run, the interval of the curve, and the calibrated
interval.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.curves.curves import Curve, extrapolation_notes
from analysis.fitting.intervals import Interval, interval
from analysis.notes import Note, Status, as_text
from scaling.scoring.interval import LEVEL

SHORT, FEWEST_FORECASTS = 0.15, 6
"""An interval is reported as too short where its share of held forecasts in the backtest is this much below its level;
fewer forecasts than six cannot show it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What one new run of `curve` would score at `columns` (C: training FLOPs).

    `interval` (one new run) and `curve_interval` hold the truth with probability `level` if the law is right.
    `calibrated_interval` is `interval`, widened by the backtest; the share that it holds is measured, not promised. A
    value is None where the data do not determine it.
    """

    columns: Mapping[str, float]
    curve: Curve
    cer: float | None
    interval: Interval | None
    curve_interval: Interval | None
    calibrated_interval: Interval | None
    level: float
    warnings: tuple[Note, ...]

    @property
    def flops(self) -> float:
        """Training FLOPs, for laws in compute."""
        return self.columns["C"]

    @property
    def status(self) -> Status:
        """The fit's status."""
        return self.curve.status

    def as_dict(self) -> dict[str, Any]:
        """The prediction as `predict --flops --json` prints it."""
        return {
            "flops": self.flops,
            "strategy": self.curve.strategy,
            "encoder": self.curve.encoder,
            "llm": self.curve.llm,
            "cer": self.cer,
            "interval": self.interval,
            "curve_interval": self.curve_interval,
            "calibrated_interval": self.calibrated_interval,
            "calibration": None if self.curve.calibration is None else self.curve.calibration.as_dict(),
            "level": self.level,
            "extrapolation": self.curve.extrapolation(self.flops),
            "law": None if self.curve.fit is None else self.curve.fit.law.name,
            "status": self.status,
            "warnings": as_text(self.warnings),
        }

    def as_row(self) -> dict[str, Any]:
        """The prediction as `predict --at` and `--table` print it."""
        return {
            **self.columns,
            "strategy": self.curve.strategy,
            "value": self.cer,
            "curve_interval": self.curve_interval,
            "interval": self.interval,
            "calibrated_interval": self.calibrated_interval,
            "level": self.level,
            "status": self.status,
            "warnings": as_text(self.warnings),
        }


def predict(curve: Curve, flops: float, level: float = LEVEL) -> Prediction:
    """The prediction of `curve` at `flops`."""
    return predict_rows(curve, {"C": [flops]}, level)[0]


def predict_rows(curve: Curve, columns: Mapping[str, Sequence[float]], level: float = LEVEL) -> list[Prediction]:
    """One prediction for each row of `columns`. Without a fit nothing is known; without a degree of freedom, no
    interval.
    """
    count = len(next(iter(columns.values())))
    nothing: list[Interval | None] = [None] * count
    middle, curve_ends, run_ends, calibrated_ends = [math.nan] * count, nothing, nothing, nothing
    if curve.fit is not None:
        middle = curve.fit.predict(columns).tolist()
        if curve.fit.dof >= 1:
            curve_ends = _pairs(interval(curve.fit, columns, level=level, kind="curve"))
            weight = 1.0 if curve.noise is None else curve.noise.weight(curve.fit.predict(columns))
            run = interval(curve.fit, columns, level=level, kind="new_run", run_weight=weight)
            run_ends = _pairs(run)
            if curve.calibration is not None:
                calibrated_ends = _pairs(curve.calibration.widened(curve.fit, columns, run))
    predictions = []
    for i in range(count):
        at = {name: float(values[i]) for name, values in columns.items()}
        predictions.append(
            Prediction(
                columns=at,
                curve=curve,
                cer=None if math.isnan(middle[i]) else middle[i],
                interval=run_ends[i],
                curve_interval=curve_ends[i],
                calibrated_interval=calibrated_ends[i],
                level=level,
                warnings=(*curve.warnings, *_too_short(curve, level), *extrapolation_notes(curve, at)),
            )
        )
    return predictions


def _too_short(curve: Curve, level: float) -> list[Note]:
    """A note where the backtest shows that the interval holds fewer runs than its level says."""
    backtest = curve.calibration
    if backtest is None or backtest.forecasts < FEWEST_FORECASTS or backtest.held >= level - SHORT:
        return []
    message = (
        f"forecasts inside the data: the {level:.0%} interval of one run held {backtest.held:.0%} of "
        f"{backtest.forecasts}, the calibrated one {backtest.held_calibrated:.0%}: take that"
    )
    return [Note("interval_too_short", message)]


def _pairs(ends: tuple[Any, Any]) -> list[Interval | None]:
    low, high = (np.asarray(end, dtype=float).tolist() for end in ends)
    return list(zip(low, high, strict=True))
