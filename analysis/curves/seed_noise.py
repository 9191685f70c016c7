"""The noise of error rates: Var(log CER) = run-to-run + counting.

Run-to-run (order, initialisation) is estimated from seeds. Counting is 1 / errors, as of a Poisson count: an upper
bound, because utterances that are hard for every run make part of this noise common to the runs of one test. Points
with few errors weigh less, and a new run is expected to scatter by its own count.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.fitting.laws import Array
from analysis.tables.seed_averaged_points import Point
from analysis.tables.table import Table
from analysis.tables.usable_rows import ERROR

SMALLEST_RUN_VARIANCE = 0.01**2
"""The least run-to-run variance (assumption), so that no point outweighs all others."""

ASSUMED_RUN_VARIANCE = 0.04**2
"""The run-to-run variance of a study without seeds: seeds of small recognisers differ by 3 to 5 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNoise:
    """A run's variance of log error: `run_variance` + 1 / errors in `ref_chars`; `reference` has the weight 1."""

    run_variance: float
    ref_chars: float
    reference: float

    def weight(self, errors: Array) -> Array:
        """The weight (k,) of one run whose error rate is `errors`."""
        counted = self.run_variance + 1.0 / np.maximum(errors * self.ref_chars, 0.5)
        weight: Array = self.reference / counted
        return weight


def estimate_noise(table: Table, points: Sequence[Point]) -> RunNoise | None:
    """The noise of one curve's runs; None where the table does not say how many characters the test has."""
    chars = np.array([table.number(i, "ref_chars") for point in points for i in point.rows])
    if not (np.isfinite(chars) & (chars > 0.0)).all():
        return None
    ref_chars = float(np.median(chars))
    errors = np.array([point.cer for point in points])
    runs = _run_variance(table, points, ref_chars)
    middle = runs + float(np.mean(1.0 / np.maximum(errors * ref_chars, 0.5)))
    return RunNoise(run_variance=runs, ref_chars=ref_chars, reference=middle)


def _run_variance(table: Table, points: Sequence[Point], ref_chars: float) -> float:
    """Pooled variance of log errors within points, less what counting explains."""
    squares, counted, dof = 0.0, 0.0, 0
    for point in points:
        rates = np.array([table.number(i, ERROR) for i in point.rows])
        rates = rates[rates > 0.0]
        if len(rates) > 1:
            squares += float(((np.log(rates) - np.log(rates).mean()) ** 2).sum())
            counted += (len(rates) - 1) / max(point.cer * ref_chars, 0.5)
            dof += len(rates) - 1
    return ASSUMED_RUN_VARIANCE if dof == 0 else max((squares - counted) / dof, SMALLEST_RUN_VARIANCE)
