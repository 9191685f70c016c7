"""Cells: the points a law is fitted to. A point is one budget of one strategy with one pair of models, its seeds
averaged.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from analysis.notes import Note
from analysis.tables.table import Row, Table
from scaling.errors import InputError
from scaling.ledger.records import is_usable

FLOPS, ERROR = "flops", "cer"
SOURCE = {"C": FLOPS, "y": ERROR}
"""Where a law's column is found in a table of runs, if not under its own name."""
COUNTED_IN = {"wer": {"ref_chars": "ref_words"}}
"""Where a table has the length that an error rate other than CER is counted in: noise is that of its own counts."""
# A point without an error counts half an error: log 0 has no place in a law, and half is the median of a Poisson
# posterior with a vague prior to within a third.
HALF_ERROR = 0.5
# A model that knows nothing scores about 1 where the table does not say what it scores (`cer_chance`): every character
# is missing or wrong.
CHANCE = 1.0
SECONDS_AN_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point of a law: the runs with equal strategy, models and budget (or equal columns), averaged.

    `columns` holds the law's columns, `cer` the mean error of `runs` runs; `rows` are their indices in the table.
    `chance` is the CER of a model that knows nothing. `encoder` and `llm` are None where the table or the law does
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
    def curve(self) -> tuple[str, str | None, str | None]:
        """What the point's law belongs to: strategy, encoder, LLM."""
        return self.strategy, self.encoder, self.llm


def points_of(table: Table, columns: tuple[str, ...] = ("C",)) -> tuple[tuple[Point, ...], tuple[Note, ...]]:
    """Average a table's runs into points, smallest first, with notes on rows left out.

    A law in compute alone (C) has a curve for each pair of models; a law with other columns spans models. Seeds are
    averaged where runs share a budget, or where the table names seeds. The table needs the columns (C is `flops`) and
    `cer`; `strategy`, `encoder`, `llm`, `budget_flops`, `seed`, `status`, `ref_chars` and `cer_chance` are used where
    present. Raises InputError for values that cannot be, and for one run given twice with different results.
    """
    sources = {name: SOURCE.get(name, name) for name in columns}
    for source in (*sources.values(), ERROR):
        table.require(source)
    usable, notes = usable_rows(table, tuple(sources.values()))
    in_compute, seeded = columns == ("C",), "seed" in table.names
    groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for i in usable:
        values = tuple(table.number(i, source) for source in sources.values())
        budget = table.number(i, "budget_flops")
        point: object = budget if in_compute and not math.isnan(budget) else values
        if not in_compute and not seeded:
            point = i
        groups[(*_curve(table.rows[i], in_compute), point)].append(i)
    points = []
    for rows in groups.values():
        cer = _mean(table.number(i, ERROR) for i in rows)
        if cer == 0.0:
            place, reference = table.place(rows[0]), sum(table.number(i, "ref_chars") for i in rows)
            if not reference > 0.0:
                notes.append(Note("zero_error", f"{place}: CER 0 without ref_chars cannot enter a law"))
                continue
            cer = HALF_ERROR / reference
            notes.append(Note("zero_error", f"{place}: no error in {reference:.0f} characters: half an error taken"))
        strategy, encoder, llm = _curve(table.rows[rows[0]], in_compute)
        chance = [value for i in rows if not math.isnan(value := table.number(i, "cer_chance"))]
        points.append(
            Point(
                strategy=strategy,
                encoder=encoder,
                llm=llm,
                columns={name: _mean(table.number(i, source) for i in rows) for name, source in sources.items()},
                cer=cer,
                runs=len(rows),
                rows=tuple(rows),
                chance=_mean(chance) if chance else CHANCE,
            )
        )
    points.sort(key=lambda point: (point.strategy, point.encoder or "", point.llm or "", *point.columns.values()))
    return tuple(points), tuple(notes)


def curve_identity(row: Row) -> tuple[str, str | None, str | None]:
    """Strategy, encoder and LLM of a run, whose curve in compute it belongs to; the strategy "all" where none is named."""
    return _name(row.get("strategy")) or "all", _name(row.get("encoder")), _name(row.get("llm"))


def _curve(row: Row, in_compute: bool) -> tuple[str, str | None, str | None]:
    strategy, encoder, llm = curve_identity(row)
    return (strategy, encoder, llm) if in_compute else (strategy, None, None)


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
            notes.append(Note("not_ok", f"{table.place(i)}: status {row['status']}: left out"))
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
        identity = _identity(table, i)
        if identity is not None and identity in seen:
            first = seen[identity]
            if table.number(first, ERROR) != cer:
                raise InputError(
                    f"{table.place(i)}: the run of {table.place(first)} again with another {ERROR}: "
                    f"{cer} and {table.number(first, ERROR)}"
                )
            notes.append(Note("duplicate", f"{table.place(i)}: the run of {table.place(first)} again: left out"))
            continue
        if identity is not None:
            seen[identity] = i
        usable.append(i)
    return usable, notes


def _identity(table: Table, index: int) -> tuple[object, ...] | None:
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
