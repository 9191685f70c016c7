"""The rows of a table that a law can be fitted to, and notes on those left out."""

import math
from collections import defaultdict
from collections.abc import Sequence

from analysis.notes import Note
from analysis.tables.table import Table
from scaling.errors import InputError
from scaling.ledger.records import is_usable

FLOPS, ERROR = "flops", "cer"
"""The columns of training FLOPs and of the error rate in a table of runs."""

CHANCE_COLUMN = "cer_chance"
"""The column of the error of a model that has learnt nothing."""

LARGEST = 1e40
"""Numbers above this, and below one over it, are refused: they lie beyond any FLOPs, parameters, tokens or errors, and
far from the ends of what a float holds.
"""

NAMED = 3
"""A note names so many rows of a kind and counts the others."""


def usable_rows(table: Table, sources: tuple[str, ...]) -> tuple[list[int], list[Note]]:
    """The indices of rows that can be points, with notes on those left out.

    Left out are runs that did not succeed, that have no finite error, and that stand in the table twice. Raises
    InputError for an error below zero, for a value of the columns `sources` or of `cer_chance` that is not positive,
    for numbers that are beyond any size (`LARGEST`), and for one run given twice with different errors.
    """
    seen: dict[tuple[object, ...], int] = {}
    usable: list[int] = []
    left_out: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, row in enumerate(table.rows):
        cer = table.number(i, ERROR)
        if not is_usable(row):
            left_out["not_ok", f"Rows with status {row['status']!r}"].append(i)
            continue
        if not math.isfinite(cer):
            left_out["no_error_rate", f"Rows whose {ERROR} is {table.shown(i, ERROR)}"].append(i)
            continue
        for source in sources:
            value = table.number(i, source)
            if not value > 0.0:
                raise InputError(f"{table.place(i)}: {source} is {table.shown(i, source)}, expected a positive number")
            _check_size(table, i, source)
        if cer < 0.0:
            raise InputError(f"{table.place(i)}: {ERROR} is {cer}, expected zero or more")
        if cer > 0.0:
            _check_size(table, i, ERROR)
        if table.number(i, CHANCE_COLUMN) <= 0.0:
            raise InputError(f"{table.place(i)}: {CHANCE_COLUMN} is {row[CHANCE_COLUMN]!r}, expected a positive number")
        for column in (CHANCE_COLUMN, "ref_chars", "epochs"):
            if table.number(i, column) > 0.0:
                _check_size(table, i, column)
        run = _run_identity(table, i)
        if run is not None and run in seen:
            first = seen[run]
            if table.number(first, ERROR) != cer:
                raise InputError(
                    f"{table.place(i)}: the run of {table.place(first)} again with another {ERROR}: "
                    f"{cer} and {table.number(first, ERROR)}"
                )
            left_out["duplicate", f"Rows that repeat the run of {table.place(first)}"].append(i)
            continue
        if run is not None:
            seen[run] = i
        usable.append(i)
    return usable, [
        note
        for (code, why), rows in left_out.items()
        for note in note_on_rows(table, code, rows, f"{why} are left out")
    ]


def _check_size(table: Table, index: int, column: str) -> None:
    value = table.number(index, column)
    if not 1.0 / LARGEST <= value <= LARGEST:
        expected = f"expected a number from {1.0 / LARGEST:g} to {LARGEST:g}"
        raise InputError(f"{table.place(index)}: {column} is {value:g}, {expected}")


def note_on_rows(table: Table, code: str, rows: Sequence[int], what: str) -> list[Note]:
    """A note that names the first rows of a kind; none where there are none."""
    if not rows:
        return []
    more = f" and {len(rows) - NAMED} more" if len(rows) > NAMED else ""
    names = [f" (run {table.rows[i]['name']!r})" if table.rows[i].get("name") else "" for i in rows[:NAMED]]
    places = ", ".join(f"{table.place(i)}{name}" for i, name in zip(rows, names, strict=False))
    return [Note(code, f"{what}: {places}{more}.")]


def _run_identity(table: Table, index: int) -> tuple[object, ...] | None:
    """What makes a row the same run as another: its key, else its whole description where it names a seed."""
    row = table.rows[index]
    if row.get("key"):
        return ("key", row["key"])
    if row.get("seed") in (None, ""):
        return None
    return tuple(str(value) for name, value in sorted(row.items()) if name not in (ERROR, "errors", "dev_cer", "test"))
