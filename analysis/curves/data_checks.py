"""Checks of the points of a curve, before it is fitted, and notes on what makes them doubtful."""

import math
from collections.abc import Iterator, Sequence

from analysis.forecasting.repetition import MANY_EPOCHS
from analysis.formatting import counted
from analysis.notes import Note
from analysis.tables.seed_averaged_points import Point
from analysis.tables.table import Table
from analysis.tables.usable_rows import ERROR
from scaling.errors import InputError

NARROW_DECADES = 2.0
"""Budgets that span fewer decades than this say little of a law (assumption)."""

AT_CHANCE = 0.9
"""A point above this share of the error of chance has learnt next to nothing (assumption)."""

NO_FRACTION = 2.0
"""Insertions can raise an error rate above 1; above this value it is a percentage, or a loss (assumption)."""


def check_points(table: Table, points: Sequence[Point]) -> list[Note]:
    """Notes on the points of one curve. Raises InputError where runs count FLOPs by different conventions."""
    return [
        *_range(points),
        *_scale(table, points),
        *_chance(points),
        *check_shared_scale(table, points),
        *_tuning(table, points),
        *_repetition(table, points),
    ]


def check_shared_scale(table: Table, points: Sequence[Point]) -> list[Note]:
    """Notes where errors of these points share no scale. Raises InputError where their FLOPs share none."""
    conventions = _values(table, points, "flop_convention")
    if len(conventions) > 1:
        raise InputError(f"{table.path}: runs count FLOPs differently ({', '.join(conventions)}); they share no axis")
    notes = []
    if (tests := len(_values(table, points, "test_digest"))) > 1:
        notes.append(
            Note("unequal_tests", f"Runs were scored on {tests} different test sets, so their errors share no scale.")
        )
    if len(scorings := _values(table, points, "scoring")) > 1:
        how = " and as ".join(scorings)
        notes.append(Note("unequal_scoring", f"Runs were scored as {how}, so their errors share no scale."))
    return notes


def _range(points: Sequence[Point]) -> Iterator[Note]:
    if "C" not in points[0].columns:
        return
    decades = math.log10(max(point.flops for point in points) / min(point.flops for point in points))
    if round(decades, 2) < NARROW_DECADES:  # runs end some steps beside their budgets
        yield Note("narrow_range", f"The budgets span {decades:.2f} decades of FLOPs.")


def _scale(table: Table, points: Sequence[Point]) -> Iterator[Note]:
    if ERROR not in table.named and min(point.cer for point in points) > NO_FRACTION:
        yield Note("not_a_fraction", f"Every {ERROR} is above {NO_FRACTION:g}, but errors are read as fractions.")


def _chance(points: Sequence[Point]) -> Iterator[Note]:
    if max(point.cer for point in points) > NO_FRACTION:
        return
    lost = sum(point.cer >= AT_CHANCE * point.chance for point in points)
    if "C" not in points[0].columns or not lost:
        return
    if lost == len(points):
        yield Note(
            "all_at_chance", "No run has learnt anything: every error is near that of a model that knows nothing."
        )
    elif lost == len(points) - 1:
        yield Note("one_below_chance", "One budget alone has learnt, so nothing shows how the error falls from there.")
    else:
        near = f"{lost} of {len(points)} budgets give errors near chance"
        yield Note("some_at_chance", f"{near}, where no power law holds.")


def _tuning(table: Table, points: Sequence[Point]) -> Iterator[Note]:
    for column, taken in (("lr_at_grid_edge", "a learning rate"), ("batch_at_grid_edge", "a batch")):
        edge = sum(_is_true(table.rows[i].get(column)) for point in points for i in point.rows)
        if edge:
            yield Note("undertuned", f"{counted(edge, 'run')} took {taken} at the edge of the grid that was searched.")


def _repetition(table: Table, points: Sequence[Point]) -> Iterator[Note]:
    epochs = [table.number(i, "epochs") for point in points for i in point.rows]
    repeated = [value for value in epochs if value > MANY_EPOCHS]
    if repeated:
        most = f"more than {MANY_EPOCHS:.0f} times (up to {max(repeated):.1f})"
        yield Note("repeated_data", f"{counted(len(repeated), 'run')} passed over the audio {most}.")


def _values(table: Table, points: Sequence[Point], name: str) -> list[str]:
    values = (table.rows[i].get(name) for point in points for i in point.rows)
    return sorted({str(value) for value in values if value not in (None, "")})


def _is_true(value: object) -> bool:
    return value is True or str(value).lower() == "true"
