"""One table of several: a large study is trained in parts, and each part leaves a table of its own.

The rows of the parts are copied as they stand, in an order that does not depend on that of the parts. What would make a
fit average runs that are not alike is refused, with the file and line of both.
"""

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaling.errors import InputError, nearest
from scaling.ledger.plan_file import PLAN_FILE
from scaling.ledger.records import RUNS_FILE, RunRow, is_usable
from scaling.system.atomic_files import write_text_atomically
from scaling.system.json_files import parse_record, read_json_lines

SETTINGS = ("scoring", "scoring_version", "test_digest", "flop_convention", "precision", "train_hours")
"""Columns that all runs with a result share: how errors and FLOPs were counted, and how much there was to hear."""

POINT = ("strategy", "encoder", "llm", "budget_flops")
"""Columns that make a point of a curve: its runs differ in their seeds and in nothing else."""

OF_RECIPE = ("name", "objective", "trains", "batch_audio_seconds")
"""Fields of a stage that the runs of a point share."""

OF_THE_CLOCK = frozenset({"seconds", "finished", "provenance"})
"""Fields of a row, its stages and what it spent that say when and where a run was trained, not what came of it."""

_HINT = "where that is the purpose, name a column that tells them apart with --differ"

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PlacedRow:
    """A row, and the file and line that it stands on."""

    place: str
    values: Row

    def differing(self, other: "PlacedRow") -> list[str]:
        """The columns in which the results of two rows differ."""
        own, others = _result(self.values), _result(other.values)
        return [name for name in {**own, **others} if own.get(name) != others.get(name)]


def merge_tables(parts: Sequence[Path], folder: Path, differ: Sequence[str] = ()) -> list[Row]:
    """Write the rows of all `parts` (folders with a table, or tables) to `folder`/runs.jsonl, and return them.

    A run that several parts have is taken once: where it was trained again with the same result, as it first finished.
    Runs that differ in the columns `differ` may have been measured in their own ways. Raises InputError, before
    anything is written, where a row is damaged, where one run stands in two parts with different results, where runs of
    one point differ in more than their seeds, where settings differ within one value of `differ`, and where the folder
    has a plan, or a table with a run that no part has.
    """
    if (folder / PLAN_FILE).exists():
        raise InputError(f"{folder / PLAN_FILE}: a study writes the table here; merge into a folder of its own")
    rows = _unique([row for part in parts for row in _rows(part)])
    if not rows:
        raise InputError(f"{', '.join(map(str, parts))}: no runs")
    _check_columns(rows, differ)
    _check_settings(rows, differ)
    _check_points(rows, differ)
    _refuse_loss(folder, rows)
    merged = sorted((row.values for row in rows), key=_order)
    folder.mkdir(parents=True, exist_ok=True)
    write_text_atomically(folder / RUNS_FILE, "".join(map(_line, merged)))
    return merged


def _rows(part: Path) -> Iterator[PlacedRow]:
    file = part / RUNS_FILE if part.is_dir() else part
    for number, row in read_json_lines(file):
        place = f"{file}:{number}"
        try:
            content = _line(row).encode()
        except ValueError as error:  # NaN, half a surrogate pair
            raise InputError(f"{place}: cannot be written again ({error})") from None
        parse_record(RunRow, content, place)
        yield PlacedRow(place, row)


def _line(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"


def _unique(rows: Sequence[PlacedRow]) -> list[PlacedRow]:
    """Each run once. Raises InputError where it stands in two places with different results."""
    found: dict[str, PlacedRow] = {}
    for row in rows:
        known = found.setdefault(row.values["key"], row)
        if known is not row and (names := row.differing(known)):
            values = f"{names[0]} is {_short(row, names[0])} and {_short(known, names[0])}"
            raise InputError(
                f"{row.place}: run {row.values['key']} stands in {known.place} with other values ({', '.join(names)}): "
                f"{values}; expected one row a run, or the same results of both"
            )
        found[row.values["key"]] = min(known, row, key=_finished)
    return list(found.values())


def _finished(row: PlacedRow) -> tuple[float, str]:
    """When a row's run finished; of rows that do not say, or say the same, the text decides."""
    finished = row.values.get("finished")
    return math.inf if finished is None else finished, _line(row.values)


def _result(value: Any) -> Any:
    """A value of a row without what the clock and the machine said."""
    if isinstance(value, Mapping):
        return {name: _result(one) for name, one in value.items() if name not in OF_THE_CLOCK}
    return [_result(one) for one in value] if isinstance(value, list) else value


def _check_columns(rows: Sequence[PlacedRow], differ: Sequence[str]) -> None:
    names = {name for row in rows for name in row.values}
    for name in differ:
        if name not in names:
            raise InputError(f"--differ: no row has a column {name!r}{nearest(name, names)}")


def _check_settings(rows: Sequence[PlacedRow], differ: Sequence[str]) -> None:
    first: dict[str, PlacedRow] = {}
    for row in rows:
        if not is_usable(row.values):
            continue
        known = first.setdefault(_cell(row, differ), row)
        for name in SETTINGS:
            if row.values.get(name) != known.values.get(name):
                difference = f"{name} is {_short(row, name)}, and {_short(known, name)} in {known.place}"
                raise InputError(f"{row.place}: {difference}: not measured alike; {_HINT}, such as {name}")


def _check_points(rows: Sequence[PlacedRow], differ: Sequence[str]) -> None:
    """Raise InputError where runs of a point differ in their recipe, and where one has the seed of another."""
    recipes: dict[str, PlacedRow] = {}
    seeds: dict[str, PlacedRow] = {}
    for row in rows:
        point = _cell(row, (*differ, *POINT))
        known = recipes.setdefault(point, row)
        for name, values, others in _recipes_apart(row, known):
            difference = f"{name} of its stages is {values}, and {others} in {known.place}"
            raise InputError(
                f"{row.place}: {_words(row)}: {difference}: expected runs that differ in their seeds; {_HINT}"
            )
        twin = seeds.setdefault(_cell(row, (*differ, *POINT, "seed")), row)
        if twin is not row:
            difference = f"{_words(row)} with seed {row.values['seed']} stands in {twin.place}, too, under another key"
            apart = ", ".join(row.differing(twin))
            raise InputError(f"{row.place}: {difference}: they differ in {apart}; {_HINT}")


def _recipes_apart(row: PlacedRow, known: PlacedRow) -> Iterator[tuple[str, Any, Any]]:
    for name in OF_RECIPE:
        values, others = ([stage.get(name) for stage in one.values["stages"]] for one in (row, known))
        if values != others:
            yield name, values, others


def _refuse_loss(folder: Path, rows: Sequence[PlacedRow]) -> None:
    """Raise InputError where the table that is there has a run that would be lost."""
    table, keys = folder / RUNS_FILE, {row.values["key"] for row in rows}
    if not os.path.lexists(table):
        return
    for row in _rows(table):
        if row.values["key"] not in keys:
            raise InputError(
                f"{row.place}: run {row.values['key']} stands in no part, and would be lost; name its table"
            )


def _cell(row: PlacedRow, columns: Sequence[str]) -> str:
    """The values of some columns, as one text."""
    return json.dumps([row.values.get(name) for name in columns], sort_keys=True)


def _order(row: Row) -> tuple[Any, ...]:
    return row["encoder"], row["llm"], row["strategy"], row["budget_flops"], row["seed"], row["key"]


def _words(row: PlacedRow) -> str:
    values = row.values
    return f"{values['strategy']} ({values['encoder']} + {values['llm']}) at {values['budget_flops']:.6g} FLOPs"


def _short(row: PlacedRow, name: str) -> str:
    return f"{row.values.get(name)!r:.80}"
