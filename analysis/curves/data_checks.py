"""What should make one doubt a curve before it is fitted: remarks on its points."""

import math
from collections.abc import Iterator, Sequence

from analysis.notes import Note
from analysis.tables.points import ERROR, Cell
from analysis.tables.table import Table
from scaling.errors import InputError

NARROW_DECADES = 2.0
# Of the chance score: a cell above this share has learnt next to nothing.
AT_CHANCE = 0.9
# An error rate can pass 1 by insertions; above this it is a percentage, or a loss.
NO_FRACTION = 2.0
# Muennighoff et al. 2023: up to four passes are worth almost as much as fresh data.
MANY_EPOCHS = 4.0


def remarks(table: Table, cells: Sequence[Cell]) -> list[Note]:
    """Notes on the cells of one curve. Raises InputError where runs count FLOPs by different conventions."""
    return [
        *_range(cells),
        *_scale(table, cells),
        *_chance(cells),
        *shared_scale(table, cells),
        *_tuning(table, cells),
        *_repetition(table, cells),
    ]


def shared_scale(table: Table, cells: Sequence[Cell]) -> list[Note]:
    """Notes where errors of these cells, of one curve or of several compared, share no scale.

    Raises InputError where their FLOPs share none.
    """
    conventions = _values(table, cells, "flop_convention")
    if len(conventions) > 1:
        raise InputError(f"{table.path}: runs count FLOPs differently ({', '.join(conventions)}); they share no axis")
    notes = []
    if (tests := len(_values(table, cells, "test_digest"))) > 1:
        notes.append(Note("unequal_tests", f"runs were scored on {tests} test sets: their errors share no scale"))
    if len(scorings := _values(table, cells, "scoring")) > 1:
        notes.append(
            Note("unequal_scoring", f"runs were scored as {' and as '.join(scorings)}: their errors share no scale")
        )
    return notes


def _range(cells: Sequence[Cell]) -> Iterator[Note]:
    if "C" not in cells[0].columns:
        return
    decades = math.log10(max(cell.flops for cell in cells) / min(cell.flops for cell in cells))
    if decades < NARROW_DECADES:
        yield Note("narrow_range", f"budgets span {decades:.2f} decades; at least {NARROW_DECADES:.0f} are wanted")


def _scale(table: Table, cells: Sequence[Cell]) -> Iterator[Note]:
    if ERROR not in table.named and min(cell.cer for cell in cells) > NO_FRACTION:
        yield Note("not_a_fraction", f"every {ERROR} is above {NO_FRACTION:g}: percent? Errors are fractions here")


def _chance(cells: Sequence[Cell]) -> Iterator[Note]:
    if max(cell.cer for cell in cells) > NO_FRACTION:
        return
    lost = sum(cell.cer >= AT_CHANCE * cell.chance for cell in cells)
    if "C" not in cells[0].columns or not lost:
        return
    if lost == len(cells):
        yield Note("all_at_chance", "no run has learnt: every error is near that of a model that knows nothing")
    else:
        yield Note("some_at_chance", f"{lost} of {len(cells)} budgets are near chance, where a power law does not hold")


def _tuning(table: Table, cells: Sequence[Cell]) -> Iterator[Note]:
    for column, taken in (("lr_at_grid_edge", "a learning rate"), ("batch_at_grid_edge", "a batch")):
        edge = sum(_is_true(table.rows[i].get(column)) for cell in cells for i in cell.rows)
        if edge:
            yield Note("undertuned", f"{edge} runs took {taken} at the edge of its grid: better may lie beyond")


def _repetition(table: Table, cells: Sequence[Cell]) -> Iterator[Note]:
    epochs = [table.number(i, "epochs") for cell in cells for i in cell.rows]
    repeated = [value for value in epochs if value > MANY_EPOCHS]
    if repeated:
        most = f"more than {MANY_EPOCHS:.0f} times (up to {max(repeated):.1f})"
        yield Note("repeated_data", f"{len(repeated)} runs pass over their audio {most}")


def _values(table: Table, cells: Sequence[Cell], name: str) -> list[str]:
    found = (table.rows[i].get(name) for cell in cells for i in cell.rows)
    return sorted({str(value) for value in found if value not in (None, "")})


def _is_true(value: object) -> bool:
    return value is True or str(value).lower() == "true"
