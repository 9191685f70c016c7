"""Laws sampled for the page, so that what it reads off between the rows is what `predict` says.

An outlook is a straight line in logarithms between the places of its own lattice (`analysis.forecasting.lattice`); rows
there lose nothing. A law that was asked for by name is smooth, and rows are denser.
"""

import math

import numpy as np

from analysis.curves.curves import VERY_FAR, Curve
from analysis.curves.law_ends import Ends
from analysis.forecasting.lattice import STEP
from scaling.scoring.interval import LEVEL

DIGITS = 6
"""Significant digits of a row: reading off a line between rows may lose one, and the page shows three."""
DENSER = 4
"""Rows of a law asked for by name are this many times as dense: a line between them is within a part in 10,000."""

Row = list[float | None]
"""FLOPs, error, both ends of the interval of the curve, of one new run, and of one calibrated, expected error."""


def law_rows(curve: Curve, smallest_flops: float) -> list[Row]:
    """Rows by rising FLOPs to `VERY_FAR` times the curve's largest run; none where it has no answer."""
    if not curve.answers:
        return []
    step = STEP if curve.outlook is not None else STEP / DENSER
    first = math.floor(math.log(smallest_flops / curve.largest_flops) / step)
    flops = curve.largest_flops * np.exp(step * np.arange(first, math.ceil(math.log(VERY_FAR) / step) + 1))
    columns = {"C": flops}
    run, calibrated = curve.run_ends(columns, LEVEL), None
    if curve.fit is not None and curve.calibration is not None and run is not None:
        calibrated = curve.calibration.widened(curve.fit, columns, run)
    ends = [_ends(pair, len(flops)) for pair in (curve.ends(columns, LEVEL), run, calibrated)]
    expected = [curve.expected_error(float(value)) for value in flops]
    table = [flops, curve.predicted(columns), *(end for pair in ends for end in pair), expected]
    return [[_rounded(value) for value in row] for row in zip(*table, strict=True)]


def _ends(pair: Ends | None, count: int) -> Ends:
    missing = np.full(count, np.nan)
    return (missing, missing) if pair is None else pair


def _rounded(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
