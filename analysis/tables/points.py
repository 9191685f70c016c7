"""The points that a law is fitted to: each is one budget of one strategy with one pair of models, seeds averaged."""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from analysis.notes import Note
from analysis.tables.table import LAW_NAMES, Row, Table
from scaling.errors import InputError
from scaling.ledger.records import is_usable
from scaling.system.console import one_line

FLOPS, ERROR = "flops", "cer"
"""The columns of training FLOPs and of the error rate in a table of runs."""

SOURCE = {law_name: column for column, law_name in LAW_NAMES.items()}
"""The column of a table of runs that holds a law's column, where it has another name."""

HALF_ERROR = 0.5
"""Errors that a run without an error counts as, because log 0 has no place in a law. Half an error is the median of a
Poisson posterior with a vague prior to within a third.
"""

CHANCE_COLUMN = "cer_chance"
CHANCE = 1.0
"""The error of a model that has learnt nothing, where the table does not give it in `CHANCE_COLUMN`: about every
character is missing or wrong.
"""

LARGEST = 1e40
"""Numbers above this, and below one over it, are refused: they lie beyond any FLOPs, parameters, tokens or errors, and
far from the ends of what a float holds.
"""

ONE_CURVE = "all"
"""The strategy of runs of a table that names none."""

NAMED = 3
"""A note names so many rows of a kind and counts the others."""

SECONDS_AN_HOUR = 3600.0

CurveIdentity = tuple[str, str | None, str | None]
"""Strategy, encoder and LLM: what a curve is of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The runs with equal strategy, models and budget (or equal columns), averaged.

    `columns` holds the law's columns, `cer` the mean error of `runs` runs; `rows` are their indices in the table.
    `chance` is the CER of a model that has learnt nothing. `encoder` and `llm` are None where the table or the law does
    not tell models apart.
    """

    strategy: str
    encoder: str | None
    llm: str | None
    columns: Mapping[str, float]
    cer: float
    runs: int
    rows: tuple[int, ...]
    chance: float

    @property
    def flops(self) -> float:
        """Training FLOPs, for laws in compute."""
        return self.columns["C"]

    @property
    def curve(self) -> CurveIdentity:
        """Strategy, encoder and LLM: the identity of the curve that the point belongs to."""
        return self.strategy, self.encoder, self.llm


def points_of(
    table: Table, columns: tuple[str, ...] = ("C",), leave_out: Collection[int] = ()
) -> tuple[tuple[Point, ...], tuple[Note, ...]]:
    """Average a table's runs into points, smallest first, with notes on rows left out, but none on `leave_out`.

    A law in compute alone (C) has a curve for each pair of models; a law with other columns spans models. Seeds are
    averaged where runs share a budget, or where the table names seeds. The table needs the columns (C is `flops`) and
    `cer`; `strategy`, `encoder`, `llm`, `budget_flops`, `seed`, `status`, `ref_chars` and `cer_chance` are used where
    present. Raises InputError where a column is missing and where `usable_rows` does.
    """
    table.certain("strategy")
    sources = {name: SOURCE.get(name, name) for name in columns}
    for source in (*sources.values(), ERROR):
        table.require(source)
    usable, notes = usable_rows(table, tuple(sources.values()))
    zeros = [i for i in usable if table.number(i, ERROR) == 0.0]
    uncounted = {i for i in zeros if math.isnan(run_error(table, i))}
    counted = [i for i in zeros if i not in uncounted]
    notes += _named(table, "zero_error", counted, f"Tests without any error count as {HALF_ERROR:g} errors")
    notes += _named(table, "zero_error", sorted(uncounted), f"Rows with {ERROR} 0 and no ref_chars are left out")
    points = []
    for identity, rows in _groups(table, [i for i in usable if i not in uncounted and i not in leave_out], sources):
        chances = [value for i in rows if not math.isnan(value := table.number(i, CHANCE_COLUMN))]
        point = Point(
            strategy=identity[0],
            encoder=identity[1],
            llm=identity[2],
            columns={name: _mean(table.number(i, source) for i in rows) for name, source in sources.items()},
            cer=_mean(run_error(table, i) for i in rows),
            runs=len(rows),
            rows=tuple(rows),
            chance=_mean(chances) if chances else CHANCE,
        )
        points.append(point)
    points.sort(key=lambda point: (point.strategy, point.encoder or "", point.llm or "", *point.columns.values()))
    return tuple(points), tuple(notes)


def curve_identity(row: Row) -> CurveIdentity:
    """Strategy, encoder and LLM of a run; the strategy is `ONE_CURVE` where the table names none."""
    return _name(row.get("strategy")) or ONE_CURVE, _name(row.get("encoder")), _name(row.get("llm"))


def run_error(table: Table, index: int) -> float:
    """The error rate of a run; half an error in its test where it made none, NaN where the test's length is unknown."""
    error, ref_chars = table.number(index, ERROR), table.number(index, "ref_chars")
    if error > 0.0:
        return error
    return HALF_ERROR / ref_chars if ref_chars > 0.0 else math.nan


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
        note for (code, why), rows in left_out.items() for note in _named(table, code, rows, f"{why} are left out")
    ]


def _check_size(table: Table, index: int, column: str) -> None:
    value = table.number(index, column)
    if not 1.0 / LARGEST <= value <= LARGEST:
        expected = f"expected a number from {1.0 / LARGEST:g} to {LARGEST:g}"
        raise InputError(f"{table.place(index)}: {column} is {value:g}, {expected}")


def _named(table: Table, code: str, rows: Sequence[int], what: str) -> list[Note]:
    """A note that names the first rows of a kind; none where there are none."""
    if not rows:
        return []
    more = f" and {len(rows) - NAMED} more" if len(rows) > NAMED else ""
    names = [f" (run {table.rows[i]['name']!r})" if table.rows[i].get("name") else "" for i in rows[:NAMED]]
    places = ", ".join(f"{table.place(i)}{name}" for i, name in zip(rows, names, strict=False))
    return [Note(code, f"{what}: {places}{more}.")]


def _groups(
    table: Table, usable: Iterable[int], sources: Mapping[str, str]
) -> Iterable[tuple[CurveIdentity, list[int]]]:
    """The rows of each point, with the identity of the point's curve."""
    in_compute, seeded = tuple(sources) == ("C",), "seed" in table.names
    groups: dict[tuple[CurveIdentity, object], list[int]] = defaultdict(list)
    for i in usable:
        values = tuple(table.number(i, source) for source in sources.values())
        budget = table.number(i, "budget_flops")
        point: object = budget if in_compute and not math.isnan(budget) else values
        if not in_compute and not seeded:
            point = i
        strategy, encoder, llm = curve_identity(table.rows[i])
        groups[(strategy, encoder, llm) if in_compute else (strategy, None, None), point].append(i)
    return [(identity, rows) for (identity, _), rows in groups.items()]


def _run_identity(table: Table, index: int) -> tuple[object, ...] | None:
    """What makes a row the same run as another: its key, else its whole description where it names a seed."""
    row = table.rows[index]
    if row.get("key"):
        return ("key", row["key"])
    if row.get("seed") in (None, ""):
        return None
    return tuple(str(value) for name, value in sorted(row.items()) if name not in (ERROR, "errors", "dev_cer", "test"))


def _name(value: object) -> str | None:
    return None if value is None or value == "" else one_line(str(value))


def _mean(values: Iterable[float]) -> float:
    items = list(values)
    return math.fsum(items) / len(items)
