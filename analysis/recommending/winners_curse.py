"""The winner's curse: the lowest of several predictions is partly low by luck.

Contenders are the curves whose interval reaches below the upper end of the interval of the chosen curve. The interval
of the chosen curve at level `LEVEL`^(1/k) for k contenders (Sidak) holds whichever of them was chosen. All contenders
are drawn around their predictions; the bias is the mean distance by which the prediction of the winner lies below its
truth. Contenders are taken to err independently; shared seeds make them err together, and the bias smaller.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.curves.curves import Curve
from analysis.fitting.intervals import Interval, interval
from analysis.fitting.student_t import t_quantile
from analysis.notes import Note
from scaling.scoring.interval import LEVEL

DRAWS = 4000
"""Draws of all contenders: the bias is then known to a few per cent of the scatter of one contender."""
NOTICEABLE_BIAS = 0.01
"""A prediction that is too low by this share is worth a warning (assumption)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WinnersCurse:
    """The contenders, the chosen curve first; the interval of the chosen curve that holds in spite of the choice; and
    the share by which its prediction is expected to be too low.
    """

    contenders: tuple[Curve, ...]
    interval: Interval
    bias: float

    @property
    def notes(self) -> list[Note]:
        """A warning where the bias is noticeable."""
        if self.bias < NOTICEABLE_BIAS:
            return []
        low, high = self.interval
        among = f"{len(self.contenders)} that the runs do not tell apart"
        message = f"chosen among {among}: expect {self.bias:.1%} more error; the curve in spite of the choice"
        return [Note("winners_curse", f"{message} [{low:.4g}, {high:.4g}]")]


def winners_curse(chosen: Curve, candidates: Sequence[tuple[Curve, float]]) -> WinnersCurse | None:
    """What the choice of `chosen` does to its prediction; `candidates` are all curves, each with the FLOPs at which it
    competed.

    None where the chosen curve has no interval, or none of the others contends.
    """
    flops_of = {id(curve): flops for curve, flops in candidates if curve.fit is not None and curve.fit.dof >= 1}
    if id(chosen) not in flops_of:
        return None
    ends = {
        id(curve): _log_interval(curve, flops_of[id(curve)], LEVEL) for curve, _ in candidates if id(curve) in flops_of
    }
    highest = ends[id(chosen)][1]
    others = [curve for curve, _ in candidates if curve is not chosen and id(curve) in ends]
    contenders = (chosen, *(curve for curve in others if ends[id(curve)][0] < highest))
    if len(contenders) == 1:
        return None
    low, high = _log_interval(chosen, flops_of[id(chosen)], LEVEL ** (1.0 / len(contenders)))
    middles = np.array([math.log(curve.cer(flops_of[id(curve)])) for curve in contenders])
    errors = np.array([_log_error(curve, ends[id(curve)]) for curve in contenders])
    drawn = middles + errors * np.random.default_rng(0).standard_normal((DRAWS, len(contenders)))
    winner = np.argmin(drawn, axis=1)
    bias = float(np.mean(middles[winner] - drawn[np.arange(DRAWS), winner]))
    return WinnersCurse(contenders=contenders, interval=(math.exp(low), math.exp(high)), bias=math.expm1(bias))


def _log_interval(curve: Curve, flops: float, level: float) -> tuple[float, float]:
    assert curve.fit is not None
    low, high = (float(end[0]) for end in interval(curve.fit, {"C": [flops]}, level=level))
    return math.log(max(low, 1e-12)), math.log(high)


def _log_error(curve: Curve, ends: tuple[float, float]) -> float:
    """The standard error that an interval stands for, its arms averaged."""
    assert curve.fit is not None
    return (ends[1] - ends[0]) / 2.0 / t_quantile(0.5 + LEVEL / 2.0, curve.fit.dof)
