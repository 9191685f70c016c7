"""What one curve says of any budget, in the unit of its table: the median error, intervals, draws of whole curves.

Suffixes of arrays: Q questions, L places of a lattice of FLOPs, D draws.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from analysis.forecasting.evidence import CurveRuns
from analysis.forecasting.lattice import Lattice
from analysis.forecasting.law_grid import Array
from analysis.forecasting.posterior import Components
from analysis.forecasting.predictive import Predictive
from analysis.forecasting.prior import Prior
from analysis.forecasting.repetition import stretch

PARTS: dict[str, Any] = {"runs": CurveRuns, "prior": Prior, "components": Components}
"""The parts of an outlook that are stored as documents of their own."""


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """The runs of one curve, its prior, and what is kept of its posterior.

    Errors of `runs` are shares of `scale`, which is the error of chance where the table has error rates. `ref_chars`
    is the length of the test and `passes` how often the largest run passed over its audio; None where the table does
    not tell. `pooled` counts the other curves that it learnt from.
    """

    runs: CurveRuns
    prior: Prior
    components: Components
    scale: float
    ref_chars: float | None
    passes: float | None
    pooled: int

    @property
    def resolution(self) -> float | None:
        """Half an error in the whole test, less than which no test shows; None where the test's length is unknown."""
        return None if self.ref_chars is None else 0.5 / self.ref_chars

    def median(self, flops_Q: Array) -> Array:
        """The error (Q,) that the curve is as likely above as below."""
        return self._quantiles(flops_Q, (0.5,), new_run=False)[0]

    def ends(self, flops_Q: Array, level: float) -> tuple[Array, Array]:
        """Lower and upper ends (Q,) of the interval of the curve, which holds it with probability `level`."""
        low, high = self._quantiles(flops_Q, _tails(level), new_run=False)
        return low, high

    def run_ends(self, flops_Q: Array, level: float) -> tuple[Array, Array]:
        """Lower and upper ends (Q,) of the interval of one new run, which is never inside that of the curve."""
        low, high = self._quantiles(flops_Q, _tails(level), new_run=True)
        curve_low, curve_high = self.ends(flops_Q, level)
        return np.minimum(low, curve_low), np.maximum(high, curve_high)

    def expected_error(self, flops: float) -> float:
        """The mean over everything that the curve may be, where no error counts for more than chance."""
        return self.scale * float(self.predictive.predict(np.array([flops]), new_run=False).expected_error()[0])

    def draw(self, flops_Q: Array, draws: int, generator: np.random.Generator) -> Array:
        """Log errors (Q, D) at `flops_Q`, in the table's unit; none above its own at the largest run, once passed."""
        asked = np.append(flops_Q, self.runs.flops_N[-1])
        drawn_QD = self.predictive.predict(asked, new_run=False).draw(draws, generator) + np.log(self.scale)
        middle_Q1 = np.median(drawn_QD, axis=1, keepdims=True)
        stretched_QD = middle_Q1 + self._stretch(asked)[:, None] * (drawn_QD - middle_Q1)
        beyond_Q1 = (flops_Q > asked[-1])[:, None]
        falling_QD: Array = np.where(beyond_Q1, np.minimum(stretched_QD[:-1], stretched_QD[-1]), stretched_QD[:-1])
        return falling_QD

    def as_dict(self) -> dict[str, Any]:
        """The outlook as JSON holds it; `from_dict` restores it."""
        plain = {name: getattr(self, name) for name in ("scale", "ref_chars", "passes", "pooled")}
        parts = {name: getattr(self, name).as_dict() for name in PARTS}
        return {**parts, **plain}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "Outlook":
        """The reverse of `as_dict`."""
        parts = {name: part.from_dict(stored[name]) for name, part in PARTS.items()}
        return cls(**{**stored, **parts})

    @cached_property
    def predictive(self) -> Predictive:
        """The predictive distribution, in shares of `scale`."""
        return Predictive(self.runs, self.components)

    def _quantiles(self, flops_Q: Array, shares: Sequence[float], *, new_run: bool) -> list[Array]:
        """The error (Q,) at each of `shares` of the distribution."""
        lattice = Lattice.around(flops_Q, float(self.runs.flops_N[-1]))
        counted = None if self.ref_chars is None else self.ref_chars * self.scale
        mixture = self.predictive.predict(lattice.flops_L, new_run=new_run, counted=counted)
        middle_L, stretch_L = mixture.quantile(0.5), self._stretch(lattice.flops_L)
        quantiles_L = [middle_L + stretch_L * (mixture.quantile(share) - middle_L) for share in shares]
        with np.errstate(over="ignore"):  # an end without a bound
            return [self.scale * np.exp(lattice.falling(quantile_L)) for quantile_L in quantiles_L]

    def _stretch(self, flops_Q: Array) -> Array:
        """The factor (Q,) on the arms of an interval where audio is repeated more often than in the runs."""
        passes = self.passes or 0.0
        return stretch(passes * flops_Q / self.runs.flops_N[-1], passes)


def _tails(level: float) -> tuple[float, float]:
    return (1.0 - level) / 2.0, (1.0 + level) / 2.0
