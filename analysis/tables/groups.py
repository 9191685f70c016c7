"""Which column of text parts the rows of a table into curves: one that tells rows at equal FLOPs apart."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.tables.understanding.column_names import GROUP_NAMES, LABEL_NAMES, names_an_error, words
from analysis.tables.understanding.run_states import DONE
from analysis.tables.understanding.values import read_numbers
from scaling.errors import InputError, nearest
from scaling.ledger.records import RunRow

POOLED = "none"
"""What --group takes for one curve through all rows."""

EQUAL = 1.1
"""FLOPs of which the larger is less than this times the smaller count as equal: budgets are rarely met exactly."""

IDENTITY = ("strategy", "encoder", "llm")
"""The columns that part curves where a table has them."""

Row = Mapping[str, Any]


def grouped(rows: Sequence[Row], group: str, source: str) -> tuple[Row, ...]:
    """The rows with their curve as `strategy`: named by the columns of `group` (a name, or several with commas between
    them), or one curve for `POOLED`. Raises InputError for a column that the table does not have.
    """
    if group == POOLED:
        return tuple({name: value for name, value in row.items() if name not in IDENTITY} for row in rows)
    names = tuple(dict.fromkeys(name for row in rows for name in row))
    chosen = [group] if group in names else [name.strip() for name in group.split(",")]
    for name in chosen:
        if name not in names:
            raise InputError(f"--group: {source} has no column {name!r}{nearest(name, names)}")
    blank = dict.fromkeys(IDENTITY)
    return tuple({**row, **blank, "strategy": ", ".join(str(row.get(name)) for name in chosen)} for row in rows)


def parting_column(rows: Sequence[Row], law_columns: Sequence[str]) -> tuple[str | None, str | None]:
    """The column of text that parts curves, and what is in doubt about it; None for what there is not.

    It tells rows apart that are equal in `law_columns` (within `EQUAL`) and in `IDENTITY`, and leaves no other column
    that does. Columns that describe a run, or that have a value of their own on most rows, part nothing.
    """
    usable = [row for row in rows if row.get("status") in (DONE, None, "")]
    cells = _cells(usable, law_columns)
    columns = [name for name in _texts(usable) if name not in law_columns and _parts(usable, cells, name)]
    enough = [
        name for name in columns if not any(_parts(usable, _refined(usable, cells, name), other) for other in columns)
    ]
    if not columns:
        return None, None
    usual = [name for name in enough if " ".join(words(name)) in GROUP_NAMES]
    partitions = {_partition(usable, name) for name in enough}
    if len(partitions) == 1 and usual:
        return min(usual, key=lambda name: GROUP_NAMES.index(" ".join(words(name)))), None
    listing = ", ".join(repr(name) for name in columns)
    every = ",".join(columns)
    hint = f"--group {columns[0]!r}" if len(columns) == 1 else f"--group {columns[0]!r}, --group {every!r}"
    return None, (
        f"rows with equal {', '.join(law_columns)} differ in {listing}: say {hint} for curves of their own, or --group "
        f"{POOLED} for one curve through all"
    )


def averaged_columns(rows: Sequence[Row], law_columns: Sequence[str], error: str) -> list[str]:
    """The columns of numbers, such as sizes and rates, that tell apart rows which count as repeats of one run: rows of
    one curve that are equal in `law_columns`. Of columns that tell the same rows apart, the first; none that names an
    error, or is the column `error`.
    """
    usable = [row for row in rows if row.get("status") in (DONE, None, "")]
    cells = _cells(usable, law_columns)
    factors = [name for name in _repeating(usable) if name not in (*law_columns, error) and not names_an_error(name)]
    columns = [name for name in factors if _parts(usable, cells, name)]
    numeric = [name for name in columns if read_numbers([row.get(name) for row in usable]).numeric]
    return list({_partition(usable, name): name for name in reversed(numeric)}.values())[::-1]


def _texts(rows: Sequence[Row]) -> list[str]:
    """Columns of text among `_repeating`."""
    texts = []
    for name in _repeating(rows):
        values = [row.get(name) for row in rows]
        if all(isinstance(value, str | bool | None) for value in values) and not read_numbers(values).numeric:
            texts.append(name)
    return texts


def _repeating(rows: Sequence[Row]) -> list[str]:
    """Columns that have several values, most of them on several rows, and are no field of a study's own runs."""
    names = []
    for name in dict.fromkeys(name for row in rows for name in row):
        if name in RunRow.model_fields or " ".join(words(name)) in LABEL_NAMES:
            continue
        counts = Counter(str(row.get(name)) for row in rows).values()
        if len(counts) > 1 and 2 * sum(count > 1 for count in counts) > len(counts):
            names.append(name)
    return names


def _cells(rows: Sequence[Row], law_columns: Sequence[str]) -> list[tuple[object, ...]]:
    """Where each row stands: its curve as far as known, and its place on each axis of the law."""
    axes = [_ranks([row.get(name) for row in rows]) for name in law_columns]
    return [(*(row.get(name) for name in IDENTITY), *(axis[i] for axis in axes)) for i, row in enumerate(rows)]


def _ranks(values: Sequence[Any]) -> list[int]:
    """Numbers by their order, equal ones alike."""
    numbers = [value if isinstance(value, int | float) else float("nan") for value in values]
    ranks, last, rank = dict[float, int](), 0.0, 0
    for value in sorted(set(numbers)):
        if value >= EQUAL * last:
            rank, last = rank + 1, value
        ranks[value] = rank
    return [ranks.get(value, -1) for value in numbers]


def _refined(rows: Sequence[Row], cells: Sequence[tuple[object, ...]], name: str) -> list[tuple[object, ...]]:
    return [(*cell, row.get(name)) for cell, row in zip(cells, rows, strict=True)]


def _parts(rows: Sequence[Row], cells: Sequence[tuple[object, ...]], name: str) -> bool:
    """Whether rows of one cell differ in a column."""
    values: dict[tuple[object, ...], set[object]] = defaultdict(set)
    for row, cell in zip(rows, cells, strict=True):
        values[cell].add(row.get(name))
    return any(len(of_cell) > 1 for of_cell in values.values())


def _partition(rows: Sequence[Row], name: str) -> tuple[int, ...]:
    """The groups of a column, without their names."""
    order: dict[object, int] = {}
    return tuple(order.setdefault(row.get(name), len(order)) for row in rows)
