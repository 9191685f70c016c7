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
from analysis.fitting.intervals import Interval
from analysis.notes import Note
from scaling.scoring.interval import LEVEL

DRAWS = 4000
"""Draws of all contenders: the bias is then known to a few per cent of the scatter of one contender."""
NORMAL_90 = 1.645
"""The half-width of a 90 % interval in standard deviations."""
MANIFOLD = 10.0
"""A bias above this is no number worth telling (assumption)."""
NOTICEABLE_BIAS = 0.01
"""A prediction that is too low by this share is worth a warning (assumption)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WinnersCurse:
    """The contenders, the chosen first; its interval in spite of the choice; by what share it is too low."""

    contenders: tuple[Curve, ...]
    interval: Interval
    bias: float

    @property
    def notes(self) -> list[Note]:
        """A warning where the bias is noticeable."""
        if self.bias < NOTICEABLE_BIAS:
            return []
        low, high = self.interval
        more = f"{self.bias:.1%} more" if self.bias < MANIFOLD else "many times more"
        between = f"in [{low:.4g}, {high:.4g}]" if math.isfinite(high) else f"above {low:.4g}"
        among = (
            f"The runs do not tell {len(self.contenders)} candidates apart, and the one that looks best is partly lucky"
        )
        return [
            Note(
                "winners_curse",
                f"{among}: expect {more} error than predicted. In spite of the choice the curve is {between}.",
            )
        ]


def winners_curse(chosen: Curve, candidates: Sequence[tuple[Curve, float]]) -> WinnersCurse | None:
    """What the choice of `chosen` does to its prediction; `candidates` are all curves, each with the FLOPs at which it
    competed.

    None where the chosen curve has no interval, or none of the others contends.
    """
    logs = {
        id(curve): (math.log(curve.cer(flops)), ends)
        for curve, flops in candidates
        if curve.answers and (ends := _log_ends(curve, flops, LEVEL)) is not None
    }
    if id(chosen) not in logs:
        return None
    highest = logs[id(chosen)][1][1]
    rivals = (curve for curve, _ in candidates if curve is not chosen and id(curve) in logs)
    contenders = (chosen, *(curve for curve in rivals if logs[id(curve)][1][0] < highest))
    if len(contenders) == 1:
        return None
    flops = next(flops for curve, flops in candidates if curve is chosen)
    wider = _log_ends(chosen, flops, LEVEL ** (1.0 / len(contenders))) or logs[id(chosen)][1]
    middles = np.array([logs[id(curve)][0] for curve in contenders])
    errors = np.array([high - low for low, high in (logs[id(curve)][1] for curve in contenders)]) / (2.0 * NORMAL_90)
    drawn = middles + errors * np.random.default_rng(0).standard_normal((DRAWS, len(contenders)))
    winner = np.argmin(drawn, axis=1)
    with np.errstate(over="ignore"):
        bias = float(np.expm1(np.mean(middles[winner] - drawn[np.arange(DRAWS), winner])))
    return WinnersCurse(contenders=contenders, interval=(math.exp(wider[0]), math.exp(wider[1])), bias=bias)


def _log_ends(curve: Curve, flops: float, level: float) -> Interval | None:
    ends = curve.ends({"C": [flops]}, level)
    return None if ends is None else (math.log(max(float(ends[0][0]), 1e-12)), math.log(float(ends[1][0])))
