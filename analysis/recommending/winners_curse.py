"""What being chosen does to an answer: the lowest of several predictions is low by luck, too.

Contenders are the curves whose interval reaches below the upper end of the chosen one's. The chosen curve's interval at
level `LEVEL`^(1/k) for k contenders (Sidak) holds whichever of them was chosen; the expected luck is the mean of what
the winner's prediction lies below its truth in draws of all contenders around their predictions. Contenders are taken
to err independently; shared seeds make them err together, and the luck smaller.
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
# A prediction this much too low by its choice is worth a warning.
NOTICEABLE_LUCK = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class WinnersCurse:
    """The contenders, the chosen first; the chosen curve's interval that holds in spite of the choice; and by which
    share its prediction is expected to be too low.
    """

    contenders: tuple[Curve, ...]
    interval: Interval
    luck: float

    @property
    def notes(self) -> list[Note]:
        """A warning where the luck is noticeable."""
        if self.luck < NOTICEABLE_LUCK:
            return []
        low, high = self.interval
        among = f"{len(self.contenders)} that the runs do not tell apart"
        message = f"chosen among {among}: expect {self.luck:.1%} more error; the curve in spite of the choice"
        return [Note("winners_curse", f"{message} [{low:.4g}, {high:.4g}]")]


def winners_curse(chosen: Curve, candidates: Sequence[tuple[Curve, float]]) -> WinnersCurse | None:
    """How much of a choice it was: `candidates` are all curves, each with the FLOPs at which it competed.

    None where the chosen curve has no interval, or none of the others contends.
    """
    known = {id(curve): at for curve, at in candidates if curve.fit is not None and curve.fit.dof >= 1}
    if id(chosen) not in known:
        return None
    ends = {id(curve): _log_interval(curve, known[id(curve)], LEVEL) for curve, _ in candidates if id(curve) in known}
    highest = ends[id(chosen)][1]
    others = [curve for curve, _ in candidates if curve is not chosen and id(curve) in ends]
    contenders = (chosen, *(curve for curve in others if ends[id(curve)][0] < highest))
    if len(contenders) == 1:
        return None
    low, high = _log_interval(chosen, known[id(chosen)], LEVEL ** (1.0 / len(contenders)))
    middles = np.array([math.log(curve.cer(known[id(curve)])) for curve in contenders])
    errors = np.array([_log_error(curve, ends[id(curve)]) for curve in contenders])
    drawn = middles + errors * np.random.default_rng(0).standard_normal((DRAWS, len(contenders)))
    winner = np.argmin(drawn, axis=1)
    luck = float(np.mean(middles[winner] - drawn[np.arange(DRAWS), winner]))
    return WinnersCurse(contenders=contenders, interval=(math.exp(low), math.exp(high)), luck=math.expm1(luck))


def _log_interval(curve: Curve, flops: float, level: float) -> tuple[float, float]:
    assert curve.fit is not None
    low, high = (float(end[0]) for end in interval(curve.fit, {"C": [flops]}, level=level))
    return math.log(max(low, 1e-12)), math.log(high)


def _log_error(curve: Curve, ends: tuple[float, float]) -> float:
    """The standard error that an interval stands for, its arms averaged."""
    assert curve.fit is not None
    return (ends[1] - ends[0]) / 2.0 / t_quantile(0.5 + LEVEL / 2.0, curve.fit.dof)
