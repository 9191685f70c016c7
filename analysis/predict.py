"""Predictions: the CER of a budget, with the interval of one new run and that of the curve."""

from dataclasses import dataclass
from typing import Any

from analysis.curves import Curve, extrapolation_notes
from analysis.fitting import LEVEL
from analysis.notes import Note, Status, as_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What one new run of `curve` would score at `flops`; CER as fractions, intervals at `level`."""

    flops: float
    curve: Curve
    cer: float | None
    interval: tuple[float, float] | None
    curve_interval: tuple[float, float] | None
    level: float
    warnings: tuple[Note, ...]

    @property
    def status(self) -> Status:
        """The fit's status."""
        return self.curve.status

    def as_dict(self) -> dict[str, Any]:
        """The prediction as `predict --json` prints it."""
        return {
            "flops": self.flops,
            "strategy": self.curve.strategy,
            "encoder": self.curve.encoder,
            "llm": self.curve.llm,
            "cer": self.cer,
            "interval": self.interval,
            "curve_interval": self.curve_interval,
            "level": self.level,
            "extrapolation": self.curve.extrapolation(self.flops),
            "law": None if self.curve.fit is None else self.curve.fit.law.name,
            "status": self.status,
            "warnings": as_text(self.warnings),
        }


def predict(curve: Curve, flops: float, level: float = LEVEL) -> Prediction:
    """The prediction of `curve` at `flops`; without a fit, CER and intervals are None, and where no degree of freedom
    is left the intervals alone are None.
    """
    cer, new_run, on_curve = None, None, None
    if curve.fit is not None:
        cer = curve.cer(flops)
        if curve.fit.dof >= 1:
            at = {"C": [flops]}
            new_run = _pair(curve.fit.interval(at, level=level, kind="new_run"))
            on_curve = _pair(curve.fit.interval(at, level=level, kind="curve"))
    return Prediction(
        flops=flops,
        curve=curve,
        cer=cer,
        interval=new_run,
        curve_interval=on_curve,
        level=level,
        warnings=(*curve.warnings, *extrapolation_notes(curve, flops)),
    )


def _pair(ends: tuple[Any, Any]) -> tuple[float, float]:
    return float(ends[0][0]), float(ends[1][0])
