"""The choice of a law, by how well it forecasts the larger budgets of the data from the smaller ones.

Laws and objectives are compared by the error of their backtest, the share of forecasts that their 90 % interval held,
and AICc. The answer moves with the law and the objective more than any interval says, so its range over them is given.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.fitting.backtest import Calibration, calibrate
from analysis.fitting.fit import Fit, fit
from analysis.fitting.laws import LAWS, Array
from scaling.errors import InputError

AIC_MARGIN = 4.0
"""A law that bends towards chance is chosen where its AIC is lower by this than a power law's (odds of 7 to 1)."""

NEAR_CHANCE = 0.5
"""A law that bends is tried only where some run has more than this share of the error of chance."""

COMPARED_LOSSES = ("log_ls", "log_huber", "raw_ls")
"""Objectives that use the same points, so that their criteria share a scale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LawCandidate:
    """A law and objective fitted to the data; `answer` is its value at the given place, `aicc` on log residuals."""

    fit: Fit
    calibration: Calibration | None
    aicc: float
    answer: float | None

    def as_dict(self) -> dict[str, object]:
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


def ranked_laws(
    columns: Mapping[str, npt.ArrayLike],
    errors: npt.ArrayLike,
    weights: npt.ArrayLike,
    losses: Sequence[str] = COMPARED_LOSSES,
    at: Mapping[str, float] | None = None,
) -> list[LawCandidate]:
    """Every law that fits these columns with every objective, best forecaster first. Raises InputError for none."""
    fitted_laws = []
    for law in LAWS.values():
        if set(law.columns) != set(columns) or np.size(errors) <= len(law.names):
            continue
        for loss in losses:
            fitted = fit(law, columns, errors, loss=loss, weights=weights)
            answer = None if at is None else float(fitted.predict({name: [value] for name, value in at.items()})[0])
            fitted_laws.append(
                LawCandidate(fit=fitted, calibration=calibrate(fitted), aicc=_aicc(fitted), answer=answer)
            )
    if not fitted_laws:
        raise InputError(f"laws: no law in {', '.join(columns)} has fewer parameters than the {np.size(errors)} points")
    return sorted(
        fitted_laws, key=lambda law: (math.inf if law.calibration is None else law.calibration.error, law.aicc)
    )


def answer_range(candidates: Sequence[LawCandidate]) -> tuple[float, float] | None:
    """The smallest and largest answer over laws and objectives; None where no place was given."""
    answers = [candidate.answer for candidate in candidates if candidate.answer is not None]
    return (min(answers), max(answers)) if answers else None


def _misfit(fitted: Fit, columns: Mapping[str, Array], errors: Array) -> float:
    """Mean squared log residual over all points, those set aside too."""
    return max(float(np.mean((np.log(errors) - np.log(fitted.predict(columns))) ** 2)), 1e-24)


def _aicc(fitted: Fit) -> float:
    """Akaike's criterion for Gaussian log residuals with the small-sample term; infinite for too few points."""
    n, k = fitted.n, fitted.n - fitted.dof + 1
    if n - k - 1 <= 0:
        return math.inf
    return n * math.log(_misfit(fitted, fitted.columns, fitted.y)) + 2 * k + 2 * k * (k + 1) / (n - k - 1)
