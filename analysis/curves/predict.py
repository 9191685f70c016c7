"""Predictions: the error at a budget, with the interval of one new run and the interval of the curve."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.curves.curves import Curve, extrapolation_notes
from analysis.curves.law_ends import Ends
from analysis.fitting.intervals import Interval
from analysis.notes import Note, Status, as_text
from scaling.scoring.interval import LEVEL

SHORT, FEWEST_FORECASTS = 0.15, 6
"""An interval is reported as too short where its share of held forecasts in the backtest is this much below its level;
fewer forecasts than six cannot show it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What one new run of `curve` would score at `columns` (C: training FLOPs).

    `interval` (one new run) and `curve_interval` hold the truth with probability `level`: over laws, noise and what no
    law explains; of a law asked for by name, if this law is right. Only for such a law `calibrated_interval` is
    `interval`, widened by the backtest. A value is None where the data do not determine it.
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

    def as_dict(self) -> dict[str, object]:
        """The prediction as `predict --flops --json` prints it."""
        return {
            "flops": self.flops,
            **self.curve.names,
            "cer": self.cer,
            "interval": self.interval,
            "curve_interval": self.curve_interval,
            "calibrated_interval": self.calibrated_interval,
            "calibration": None if self.curve.calibration is None else self.curve.calibration.as_dict(),
            "level": self.level,
            "extrapolation": self.curve.extrapolation(self.flops),
            "law": self.curve.law,
            "status": self.status,
            "warnings": as_text(self.warnings),
        }

    def as_row(self) -> dict[str, object]:
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
    """The prediction of `curve` at `flops`. Raises InputError for a law in other columns."""
    curve.require_compute()
    return predict_rows(curve, {"C": [flops]}, level)[0]


def predict_rows(curve: Curve, columns: Mapping[str, Sequence[float]], level: float = LEVEL) -> list[Prediction]:
    """One prediction a row of `columns`. Without a fit nothing is known; without a degree of freedom, no interval."""
    count = len(next(iter(columns.values())))
    middle, run = curve.predicted(columns).tolist(), curve.run_ends(columns, level)
    curve_ends, run_ends = _pairs(curve.ends(columns, level), count), _pairs(run, count)
    calibrated = None
    if curve.fit is not None and curve.calibration is not None and run is not None:
        calibrated = curve.calibration.widened(curve.fit, columns, run)
    calibrated_ends = _pairs(calibrated, count)
    least = 0.0 if curve.outlook is None else curve.outlook.resolution or 0.0
    predictions = []
    for i in range(count):
        at = {name: float(values[i]) for name, values in columns.items()}
        notes = [*extrapolation_notes(curve, at), *curve.warnings, *_too_short(curve, level)]
        if middle[i] < least:
            message = f"No number below {least:.2g} is given, which is half an error in the whole test set."
            notes.append(Note("below_test_resolution", message))
        notes += _of_all_runs(curve, at, level)
        predictions.append(
            Prediction(
                columns=at,
                curve=curve,
                cer=None if math.isnan(middle[i]) else max(middle[i], least),
                interval=_at_least(least, run_ends[i]),
                curve_interval=_at_least(least, curve_ends[i]),
                calibrated_interval=calibrated_ends[i],
                level=level,
                warnings=tuple(notes),
            )
        )
    return predictions


def _of_all_runs(curve: Curve, columns: Mapping[str, float], level: float) -> list[Note]:
    """What the answer would be with the runs that were set aside as failed."""
    if curve.of_all_runs is None:
        return []
    flops = np.array([columns["C"]])
    low, high = (float(end[0]) for end in curve.of_all_runs.run_ends(flops, level))
    would_be = f"CER {float(curve.of_all_runs.median(flops)[0]):.4g} [{low:.4g}, {high:.4g}]"
    return [Note("set_aside_effect", f"With the runs that were set aside, the answer would be {would_be}.")]


def _at_least(least: float, ends: Interval | None) -> Interval | None:
    return None if ends is None else (max(ends[0], least), max(ends[1], least))


def _too_short(curve: Curve, level: float) -> list[Note]:
    """A note where the backtest shows that the interval holds fewer runs than its level says."""
    backtest = curve.calibration
    if backtest is None or backtest.forecasts < FEWEST_FORECASTS or backtest.held >= level - SHORT:
        return []
    plain, wider = (round(share * backtest.forecasts) for share in (backtest.held, backtest.held_calibrated))
    message = (
        f"Of {backtest.forecasts} forecasts inside the data, the {level:.0%} interval of one new run held {plain}, "
        f"the calibrated interval {wider}."
    )
    return [Note("interval_too_short", message)]


def _pairs(ends: Ends | None, count: int) -> list[Interval | None]:
    return [None] * count if ends is None else list(zip(ends[0].tolist(), ends[1].tolist(), strict=True))
