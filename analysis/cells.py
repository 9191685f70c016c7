"""Cells: the points a law is fitted to. A cell is one budget of one strategy with one pair of models, its seeds
averaged.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from analysis.notes import Note
from analysis.table import Table
from scaling.errors import InputError

FLOPS, ERROR = "flops", "cer"
# A cell without an error counts half an error: log 0 has no place in a law, and half is the median of a Poisson
# posterior with a vague prior to within a third.
HALF_ERROR = 0.5
# A model that knows nothing scores about 1 where the table does not say what it scores (`cer_chance`): every
# character is missing or wrong.
CHANCE = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One budget of one strategy with one pair of models.

    `flops` and `cer` are means over `runs` runs; `rows` are their indices in the table. `chance` is the CER of a
    model that knows nothing.
    """

    strategy: str
    encoder: str | None
    llm: str | None
    flops: float
    cer: float
    runs: int
    rows: tuple[int, ...]
    chance: float

    @property
    def curve(self) -> tuple[str, str | None, str | None]:
        """What the cell's law belongs to: strategy, encoder, LLM."""
        return self.strategy, self.encoder, self.llm


def cells_of(table: Table) -> tuple[tuple[Cell, ...], tuple[Note, ...]]:
    """Average a table's runs into cells, smallest FLOPs first, with notes on rows left out.

    The table needs `flops` and `cer`; `strategy`, `encoder`, `llm`, `budget_flops`, `seed`, `status`, `errors`,
    `ref_chars` and `cer_chance` are used where present. Raises InputError for FLOPs or CER that cannot be, and for
    one run given twice with different results.
    """
    table.require(FLOPS)
    table.require(ERROR)
    usable, notes = _usable_rows(table)
    groups: dict[tuple[str, str | None, str | None, float], list[int]] = defaultdict(list)
    for i in usable:
        row = table.rows[i]
        budget = table.number(i, "budget_flops")
        flops = table.number(i, FLOPS)
        key = (_name(row.get("strategy")) or "all", _name(row.get("encoder")), _name(row.get("llm")))
        groups[(*key, flops if math.isnan(budget) else budget)].append(i)
    cells = []
    for (strategy, encoder, llm, _), rows in groups.items():
        errors = [table.number(i, ERROR) for i in rows]
        cer = _mean(errors)
        if cer == 0.0:
            reference = sum(table.number(i, "ref_chars") for i in rows)
            if math.isnan(reference) or reference <= 0.0:
                notes.append(Note("zero_error", f"{table.place(rows[0])}: CER 0 without ref_chars cannot enter a law"))
                continue
            cer = HALF_ERROR / reference
            notes.append(
                Note("zero_error", f"{table.place(rows[0])}: no error in {reference:.0f} characters: half taken")
            )
        chance = [value for i in rows if not math.isnan(value := table.number(i, "cer_chance"))]
        cells.append(
            Cell(
                strategy=strategy,
                encoder=encoder,
                llm=llm,
                flops=_mean(table.number(i, FLOPS) for i in rows),
                cer=cer,
                runs=len(rows),
                rows=tuple(rows),
                chance=_mean(chance) if chance else CHANCE,
            )
        )
    cells.sort(key=lambda cell: (cell.strategy, cell.encoder or "", cell.llm or "", cell.flops))
    return tuple(cells), tuple(notes)


def _usable_rows(table: Table) -> tuple[list[int], list[Note]]:
    seen: dict[tuple[object, ...], int] = {}
    usable, notes = [], []
    for i, row in enumerate(table.rows):
        flops, cer = table.number(i, FLOPS), table.number(i, ERROR)
        if row.get("status", "ok") not in ("ok", None, ""):
            notes.append(Note("not_ok", f"{table.place(i)}: status {row['status']}: left out"))
            continue
        if math.isnan(cer) or math.isinf(cer):
            notes.append(Note("no_error_rate", f"{table.place(i)}: {ERROR} is {row.get(ERROR)!r}: left out"))
            continue
        if not flops > 0.0 or math.isinf(flops):
            raise InputError(f"{table.place(i)}: {FLOPS} is {row.get(FLOPS)!r}, expected a positive number")
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
    names = ("strategy", "encoder", "llm", "seed")
    return (*(row.get(name) for name in names), row.get("budget_flops") or table.number(index, FLOPS))


def _name(value: object) -> str | None:
    return None if value is None or value == "" else str(value)


def _mean(values: Iterable[float]) -> float:
    items = list(values)
    return math.fsum(items) / len(items)
