"""Which law: by how well it forecast the larger budgets of the data from the smaller ones.

Fits are compared on one table: the error of their own rollouts, the share of forecasts that their 90 % interval held,
and AICc. That the answer moves with the law and the objective more than any interval says is printed as a line of its
own.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.fitting.backtest import Calibration, calibrate
from analysis.fitting.fit import Fit, fit
from analysis.fitting.laws import LAWS, Array
from scaling.errors import InputError

# A law that bends towards chance is taken for one that does not where its AIC is lower by this much (odds of 7 to 1).
AIC_MARGIN = 4.0
# ... and only where some run is so near chance that the bend can be seen.
NEAR_CHANCE = 0.5
# Objectives on the same points, so that their criteria share a scale.
COMPARED_LOSSES = ("log_ls", "log_huber", "raw_ls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A law and objective fitted to the data; `answer` is its value at the asked columns, `aicc` on log residuals."""

    fit: Fit
    calibration: Calibration | None
    aicc: float
    answer: float | None

    def as_dict(self) -> dict[str, Any]:
        """One row of `laws --json`."""
        return {
            "law": self.fit.law.name,
            "loss": self.fit.loss.name,
            "theta": self.fit.theta,
            "forecast_error": None if self.calibration is None else self.calibration.error,
            "coverage": None if self.calibration is None else self.calibration.held,
            "forecasts": 0 if self.calibration is None else self.calibration.forecasts,
            "aicc": self.aicc,
            "answer": self.answer,
            "status": self.fit.status,
        }


def default_fit(columns: Mapping[str, Array], errors: Array, weights: Array, loss: str, chance: float) -> Fit:
    """The law in compute that a study gets when none is named; `errors` of at least two budgets.

    Two or three budgets: a power law, for a floor needs a degree of freedom to judge it by. Four and more: a power
    law with a floor, or, where runs near chance show a bend, one that saturates at `chance` (as many free
    parameters).
    """
    points = len(set(columns["C"]))
    if points < 4:
        return fit("power", columns, errors, loss=loss, weights=weights)
    plain = fit("power_floor", columns, errors, loss=loss, weights=weights)
    if errors.max() < NEAR_CHANCE * chance:
        return plain
    bent = fit("saturating", columns, errors, loss=loss, weights=weights, fixed={"K": chance})
    gain = len(errors) * (math.log(_misfit(plain, columns, errors)) - math.log(_misfit(bent, columns, errors)))
    return bent if gain > AIC_MARGIN else plain


def candidates(
    columns: Mapping[str, npt.ArrayLike],
    errors: npt.ArrayLike,
    weights: npt.ArrayLike,
    losses: Sequence[str] = COMPARED_LOSSES,
    at: Mapping[str, float] | None = None,
) -> list[Candidate]:
    """Every law in these columns with every objective, the best forecaster first; laws with too many parameters are
    left out. Raises InputError where none fits.
    """
    found = []
    for law in LAWS.values():
        if set(law.columns) != set(columns) or np.size(errors) <= len(law.names):
            continue
        for loss in losses:
            fitted = fit(law, columns, errors, loss=loss, weights=weights)
            answer = None if at is None else float(fitted.predict({name: [value] for name, value in at.items()})[0])
            found.append(Candidate(fit=fitted, calibration=calibrate(fitted), aicc=_aicc(fitted), answer=answer))
    if not found:
        raise InputError(f"laws: no law in {', '.join(columns)} has fewer parameters than the {np.size(errors)} points")
    return sorted(found, key=lambda one: (math.inf if one.calibration is None else one.calibration.error, one.aicc))


def answer_range(found: Sequence[Candidate]) -> tuple[float, float] | None:
    """The smallest and largest answer over laws and objectives; None where nothing was asked."""
    answers = [one.answer for one in found if one.answer is not None]
    return (min(answers), max(answers)) if answers else None


def _misfit(fitted: Fit, columns: Mapping[str, Array], errors: Array) -> float:
    """Mean squared log residual over all points, those set aside too."""
    return max(float(np.mean((np.log(errors) - np.log(fitted.predict(columns))) ** 2)), 1e-24)


def _aicc(fitted: Fit) -> float:
    """Akaike's criterion for Gaussian log residuals with the small-sample term; infinite where there are too few
    points.
    """
    n, k = fitted.n, fitted.n - fitted.dof + 1
    if n - k - 1 <= 0:
        return math.inf
    return n * math.log(_misfit(fitted, fitted.columns, fitted.y)) + 2 * k + 2 * k * (k + 1) / (n - k - 1)
