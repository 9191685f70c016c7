"""Tables in the long form of TensorBoard: a row for each value, with its run, its tag and its step. They become a row a
run, with the value of each tag at its last step.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.tables.understanding.column_names import words
from analysis.tables.understanding.values import read_numbers

PARTS = ("run", "tag", "step", "value")
"""What the columns of the long form are called."""

Row = Mapping[str, Any]


def one_row_a_run(lines: Sequence[int], rows: Sequence[Row]) -> tuple[tuple[int, ...], tuple[Row, ...]] | None:
    """The line of each run's last value, and its row, named by the run; None for a table in another form."""
    columns = {" ".join(words(name)): name for name in rows[0]}
    if not set(PARTS) <= set(columns):
        return None
    run, tag, step, value = (columns[part] for part in PARTS)
    steps = read_numbers([row.get(step) for row in rows]).values
    order = sorted(range(len(rows)), key=lambda i: _place(steps[i]))
    values: dict[str, dict[str, Any]] = {str(row.get(run)): {"name": str(row.get(run))} for row in rows}
    ends = {str(row.get(run)): line for line, row in zip(lines, rows, strict=True)}
    for i in order:  # what comes later takes the place of what was before
        values[str(rows[i].get(run))][str(rows[i].get(tag))] = rows[i].get(value)
    return tuple(ends[name] for name in values), tuple(values.values())


def _place(step: float | None) -> float:
    return -math.inf if step is None or math.isnan(step) else step
