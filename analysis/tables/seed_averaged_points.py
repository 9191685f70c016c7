"""The points that a law is fitted to: each is one budget of one strategy with one pair of models, seeds averaged."""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from analysis.notes import Note
from analysis.tables.table import LAW_NAMES, Row, Table
from analysis.tables.usable_rows import CHANCE_COLUMN, ERROR, note_on_rows, usable_rows
from scaling.system.console import one_line

SOURCE = {law_name: column for column, law_name in LAW_NAMES.items()}
"""The column of a table of runs that holds a law's column, where it has another name."""

HALF_ERROR = 0.5
"""Errors that a run without an error counts as, because log 0 has no place in a law. Half an error is the median of a
Poisson posterior with a vague prior to within a third.
"""

CHANCE = 1.0
"""The error of a model that has learnt nothing, where the table does not give it in `CHANCE_COLUMN`: about every
character is missing or wrong.
"""

ONE_CURVE = "all"
"""The strategy of runs of a table that names none."""

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
    notes += note_on_rows(table, "zero_error", counted, f"Tests without any error count as {HALF_ERROR:g} errors")
    notes += note_on_rows(table, "zero_error", sorted(uncounted), f"Rows with {ERROR} 0 and no ref_chars are left out")
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


def _name(value: object) -> str | None:
    return None if value is None or value == "" else one_line(str(value))


def _mean(values: Iterable[float]) -> float:
    items = list(values)
    return math.fsum(items) / len(items)
