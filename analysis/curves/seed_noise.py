"""The noise of error rates: Var(log CER) = run-to-run + counting.

Run-to-run (order, initialisation) is estimated from seeds. Counting is 1 / errors, as of a Poisson count: an upper
bound, because utterances that are hard for every run make part of it common, and what is common cancels between runs
on one test. Points with few errors then weigh less, and a new run is expected to scatter as its own count says.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.fitting.laws import Array
from analysis.tables.points import ERROR, Cell
from analysis.tables.table import Table

# Assumption: no two trainings agree better than this, so that no point outweighs all others.
SMALLEST_RUN_VARIANCE = 0.01**2
# Without seeds the run-to-run part cannot be seen; this is what seeds of small recognisers show (3 to 5 %).
ASSUMED_RUN_VARIANCE = 0.04**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """The variance of one run's log error: `run_variance` plus one over its errors in `ref_chars` characters;
    `reference` is the variance that has weight 1.
    """

    run_variance: float
    ref_chars: float
    reference: float

    def weight(self, errors: Array) -> Array:
        """The weight (k,) of one run whose error rate is `errors`."""
        counted = self.run_variance + 1.0 / np.maximum(errors * self.ref_chars, 0.5)
        weight: Array = self.reference / counted
        return weight


def noise_of(table: Table, cells: Sequence[Cell]) -> Noise | None:
    """The noise of one curve's runs; None where the table does not say how many characters the test has."""
    chars = np.array([table.number(i, "ref_chars") for cell in cells for i in cell.rows])
    if not (np.isfinite(chars) & (chars > 0.0)).all():
        return None
    ref_chars = float(np.median(chars))
    errors = np.array([cell.cer for cell in cells])
    runs = _run_variance(table, cells, ref_chars)
    middle = runs + float(np.mean(1.0 / np.maximum(errors * ref_chars, 0.5)))
    return Noise(run_variance=runs, ref_chars=ref_chars, reference=middle)


def _run_variance(table: Table, cells: Sequence[Cell], ref_chars: float) -> float:
    """Pooled variance of log errors within cells, less what counting explains."""
    squares, counted, dof = 0.0, 0.0, 0
    for cell in cells:
        rates = np.array([table.number(i, ERROR) for i in cell.rows])
        rates = rates[rates > 0.0]
        if len(rates) > 1:
            squares += float(((np.log(rates) - np.log(rates).mean()) ** 2).sum())
            counted += (len(rates) - 1) / max(cell.cer * ref_chars, 0.5)
            dof += len(rates) - 1
    return ASSUMED_RUN_VARIANCE if dof == 0 else max((squares - counted) / dof, SMALLEST_RUN_VARIANCE)
