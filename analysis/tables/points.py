"""The points that a law is fitted to: each is one budget of one strategy with one pair of models, seeds averaged."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from analysis.notes import Note
from analysis.tables.table import LAW_NAMES, Row, Table
from scaling.errors import InputError
from scaling.ledger.records import is_usable

FLOPS, ERROR = "flops", "cer"
"""The columns of training FLOPs and of the error rate in a table of runs."""

SOURCE = {law_name: column for column, law_name in LAW_NAMES.items()}
"""The column of a table of runs that holds a law's column, where it has another name."""

HALF_ERROR = 0.5
"""Errors that a run without an error counts as, because log 0 has no place in a law. Half an error is the median of a
Poisson posterior with a vague prior to within a third.
"""

CHANCE = 1.0
"""The error of a model that has learnt nothing, where the table does not give it as `cer_chance`: about every character
is missing or wrong.
"""

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


def points_of(table: Table, columns: tuple[str, ...] = ("C",)) -> tuple[tuple[Point, ...], tuple[Note, ...]]:
    """Average a table's runs into points, smallest first, with notes on rows left out.

    A law in compute alone (C) has a curve for each pair of models; a law with other columns spans models. Seeds are
    averaged where runs share a budget, or where the table names seeds. The table needs the columns (C is `flops`) and
    `cer`; `strategy`, `encoder`, `llm`, `budget_flops`, `seed`, `status`, `ref_chars` and `cer_chance` are used where
    present. Raises InputError where a column is missing and where `usable_rows` does.
    """
    _refuse_where_no_run_succeeded(table)
    table.certain("strategy")
    sources = {name: SOURCE.get(name, name) for name in columns}
    for source in (*sources.values(), ERROR):
        table.require(source)
    usable, notes = usable_rows(table, tuple(sources.values()))
    points = []
    for identity, rows in _groups(table, usable, sources):
        cer = _mean(table.number(i, ERROR) for i in rows)
        if cer == 0.0:
            place, reference = table.place(rows[0]), sum(table.number(i, "ref_chars") for i in rows)
            if not reference > 0.0:
                notes.append(Note("zero_error", f"{place}: CER 0 without ref_chars cannot enter a law"))
                continue
            cer = HALF_ERROR / reference
            notes.append(Note("zero_error", f"{place}: no error in {reference:.0f} characters: half an error taken"))
        chances = [value for i in rows if not math.isnan(value := table.number(i, "cer_chance"))]
        point = Point(
            strategy=identity[0],
            encoder=identity[1],
            llm=identity[2],
            columns={name: _mean(table.number(i, source) for i in rows) for name, source in sources.items()},
            cer=cer,
            runs=len(rows),
            rows=tuple(rows),
            chance=_mean(chances) if chances else CHANCE,
        )
        points.append(point)
    points.sort(key=lambda point: (point.strategy, point.encoder or "", point.llm or "", *point.columns.values()))
    return tuple(points), tuple(notes)


def curve_identity(row: Row) -> CurveIdentity:
    """Strategy, encoder and LLM of a run; the strategy is "all" where the table names none."""
    return _name(row.get("strategy")) or "all", _name(row.get("encoder")), _name(row.get("llm"))


def usable_rows(table: Table, sources: tuple[str, ...]) -> tuple[list[int], list[Note]]:
    """The indices of rows that can be points, with notes on those left out.

    Left out are runs that did not succeed, that have no finite error, and that stand in the table twice. Raises
    InputError for an error below zero, for a value of the columns `sources` that is not positive, and for one run given
    twice with different errors.
    """
    seen: dict[tuple[object, ...], int] = {}
    usable, notes = [], []
    for i, row in enumerate(table.rows):
        cer = table.number(i, ERROR)
        if not is_usable(row):
            name = f"run {row['name']!r}: " if row.get("name") else ""
            notes.append(Note("not_ok", f"{table.place(i)}: {name}status {row['status']}: left out"))
            continue
        if not math.isfinite(cer):
            notes.append(Note("no_error_rate", f"{table.place(i)}: {ERROR} is {row.get(ERROR)!r}: left out"))
            continue
        for source in sources:
            value = table.number(i, source)
            if not (value > 0.0 and math.isfinite(value)):
                raise InputError(f"{table.place(i)}: {source} is {row.get(source)!r}, expected a positive number")
        if cer < 0.0:
            raise InputError(f"{table.place(i)}: {ERROR} is {cer}, expected zero or more")
        run = _run_identity(table, i)
        if run is not None and run in seen:
            first = seen[run]
            if table.number(first, ERROR) != cer:
                raise InputError(
                    f"{table.place(i)}: the run of {table.place(first)} again with another {ERROR}: "
                    f"{cer} and {table.number(first, ERROR)}"
                )
            notes.append(Note("duplicate", f"{table.place(i)}: the run of {table.place(first)} again: left out"))
            continue
        if run is not None:
            seen[run] = i
        usable.append(i)
    return usable, notes


def _refuse_where_no_run_succeeded(table: Table) -> None:
    statuses = Counter(str(row.get("status")) for row in table.rows if not is_usable(row))
    if statuses.total() == len(table.rows):
        counts = ", ".join(f"{count} {status}" for status, count in statuses.items())
        raise InputError(f"{table.path}: no run succeeded ({counts}); expected runs with status ok")


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
    return None if value is None or value == "" else str(value)


def _mean(values: Iterable[float]) -> float:
    items = list(values)
    return math.fsum(items) / len(items)
