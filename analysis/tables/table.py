"""Tables of runs: rows of named values from a study's folder, a file or a Weights & Biases project.

Each row keeps the line that it stands on, so that messages can name it. What the columns of other people's tables mean
is understood by `understanding` and `groups`, and said on stderr.
"""

import hashlib
import math
import shlex
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from analysis.tables.groups import IDENTITY, POOLED, averaged_columns, grouped, parting_column
from analysis.tables.long_form import one_row_a_run
from analysis.tables.table_files import file_rows
from analysis.tables.understanding.column_names import is_device_time
from analysis.tables.understanding.understand import understand
from analysis.tables.wandb import is_project, rows_of_project
from scaling.errors import InputError, nearest, nearest_file
from scaling.ledger.records import RUNS_FILE, is_usable
from scaling.system.console import log_once
from scaling.system.contained_files import read_regular

LAW_NAMES = {"flops": "C", "cer": "y"}
"""What laws, and with them --columns, call the columns of a table of runs that have another name there."""

Row = Mapping[str, Any]
"""One run: its values by the name of their column. In other people's tables a value may be anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows and where they came from: `lines[i]` is the line of `rows[i]` in `path`.

    `named` tells which column of the file is also readable under another name: {"flops": "budget"}. `remarks` say what
    was understood, `doubts` by column what was not.
    """

    path: Path
    rows: tuple[Row, ...]
    lines: tuple[int, ...]
    named: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    doubts: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Every column that some row has, in order of appearance."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row))

    def place(self, index: int) -> str:
        """File and line of a row, for messages."""
        return f"{self.path}:{self.lines[index]}"

    def require(self, column: str) -> None:
        """Raise InputError unless some row has `column`, and where it is in doubt which column that is."""
        self.certain(column)
        if column not in self.names:
            hint = f"name it with --columns {LAW_NAMES.get(column, column)}=NAME"
            if column == "flops" and {"N", "D"} <= {*self.names}:
                hint += ", or ask for a law in N and D: fit --law chinchilla"
            times = [name for name in self._given_names if is_device_time(name)]
            if column == "flops" and times:
                hint += f" (FLOPs are {times[0]!r} times the FLOPs that your devices achieved in it)"
            taken = {*self.named.values(), *LAW_NAMES}
            spare = [name for name in self._given_names if name not in taken]
            others = nearest(column, spare) if spare else f"; columns: {', '.join(self._given_names)}"
            raise InputError(f"{self.path}: no column {column!r}; {hint}{others}")

    def certain(self, column: str) -> None:
        """Raise InputError where it is in doubt what `column` is."""
        if column in self.doubts:
            raise InputError(f"{self.path}: {self.doubts[column]}; columns: {', '.join(self._given_names)}")

    def number(self, index: int, column: str) -> float:
        """A value as a float; NaN where it is absent or empty. Raises InputError where it is no number."""
        value = self.rows[index].get(column)
        if value is None or value == "":
            return math.nan
        try:
            return float(value)
        except (TypeError, ValueError):
            raise InputError(f"{self.place(index)}: {column} is {value!r}, expected a number") from None

    def shown(self, index: int, column: str) -> str:
        """A value as messages show it."""
        value = self.rows[index].get(column)
        return "empty" if value in (None, "") else repr(value)

    def select(self, keep: Sequence[int]) -> "Table":
        """The rows at the indices `keep`."""
        return replace(self, rows=tuple(self.rows[i] for i in keep), lines=tuple(self.lines[i] for i in keep))

    def without(self, rows: Collection[int]) -> "Table":
        """The table without the rows at the indices `rows`."""
        return self.select([i for i in range(len(self.rows)) if i not in rows]) if rows else self

    def renamed(self, columns: Mapping[str, str]) -> "Table":
        """The table with each column `columns[name]` also readable as `name`. Raises InputError where one is absent."""
        for column in columns.values():
            self.require(column)
        rows = tuple({**row, **{new: row.get(old) for new, old in columns.items()}} for row in self.rows)
        return replace(self, rows=rows, named=columns)

    def parted(self, law_columns: Sequence[str], group: str | None = None) -> "Table":
        """The table with `strategy` as --group says, or by a column of text that parts rows equal in `law_columns`.

        Raises InputError for a group that is no column.
        """
        if group is not None:
            rows, remark = grouped(self.rows, group, str(self.path)), _curves_by(group)
            return replace(self, rows=rows, remarks=(*self.remarks, remark))
        if not set(law_columns) <= set(self.names) or self._is_a_study:
            return self
        column, doubt = parting_column(self.rows, law_columns)
        if doubt is not None:
            return replace(self, doubts={**self.doubts, "strategy": doubt})
        equal = ", ".join(law_columns)
        rows, remarks = self.rows, list(self.remarks)
        if column is not None:
            rows = tuple({**row, "strategy": _joined(row, column)} for row in rows)
            curves = len({row["strategy"] for row in rows})
            remarks.append(f"curves: {curves}, by column {column!r}, whose values differ at equal {equal}")
        if averaged := averaged_columns(rows, law_columns, self.named.get("cer", "cer")):
            listing = ", ".join(map(repr, averaged))
            way = f"--group {shlex.quote(','.join(averaged))}"
            remarks.append(f"rows with equal {equal} differ in {listing} and count as one curve; {way} parts them")
        return replace(self, rows=rows, remarks=tuple(remarks))

    def announce(self) -> None:
        """Say on stderr, once, what was understood."""
        for remark in self.remarks:
            log_once(f"{self.path}: {remark}")

    @property
    def _given_names(self) -> list[str]:
        """The columns as the table has them, for messages."""
        return [name for name in self.names if name not in self.named]

    @property
    def _is_a_study(self) -> bool:
        return all(str(row.get("schema", "")).startswith("asr-scaling/") for row in self.rows)


def read_table(path: Path) -> Table:
    """Read a study's folder (its runs.jsonl), a file (see `table_files`), or a project online (wandb:ENTITY/PROJECT),
    and say on stderr how its columns were understood.

    Lines of a CSV that start with # are remarks. Raises InputError where the file is missing, empty or malformed, and
    where no run has a result, because all have diverged or failed.
    """
    table = understood_table(path, {}).parted(("flops",))
    table.announce()
    return table


def understood_table(path: Path, chosen: Mapping[str, str]) -> Table:
    """As `read_table`, with the columns that the user has named, and before rows are parted into curves or anything is
    said. Raises InputError for a named column that the table does not have, too.
    """
    return understood(*_read(path), chosen)


def understood(table: Table, comma_parts_fields: bool, chosen: Mapping[str, str]) -> Table:
    """A table with the columns that analysis reads and the user named. Raises InputError as `understood_table`."""
    understanding = understand(table.rows, chosen, comma_parts_fields)
    rows = understanding.added_to(table.rows)
    _refuse_where_no_run_succeeded(table.path, rows)
    for column, name in chosen.items():
        if column not in understanding.columns and column not in understanding.doubts:
            raise InputError(f"{table.path}: no column {name!r}{nearest(name, table.names)}")
    return replace(
        table,
        rows=rows,
        named=understanding.named,
        remarks=(*table.remarks, *understanding.remarks),
        doubts=understanding.doubts,
    )


def numbered_table(path: Path, numbered_rows: Iterable[tuple[int, Row]]) -> Table:
    """A table, of one row a run (`long_form`); `path` names it in messages. Raises InputError without rows."""
    lines_and_rows = tuple(zip(*numbered_rows, strict=True))
    if not lines_and_rows:
        raise InputError(f"{path}: no rows")
    lines, rows = lines_and_rows
    runs = one_row_a_run(lines, rows)
    if runs is None:
        return Table(path=path, lines=lines, rows=rows)
    remark = f"{len(runs[1])} runs in {len(rows)} rows of a run, a tag and a step: each tag at its last step"
    return Table(path=path, lines=runs[0], rows=runs[1], remarks=(remark,))


def _refuse_where_no_run_succeeded(path: Path, rows: Sequence[Row]) -> None:
    if any(map(is_usable, rows)):
        return
    counts = ", ".join(f"{count} {status}" for status, count in Counter(str(row["status"]) for row in rows).items())
    cause = next((f"; the first: {row['cause']}" for row in rows if row.get("cause")), "")
    raise InputError(f"{path}: no run succeeded ({counts}); expected runs with status ok{cause}")


def file_sha256(file: Path) -> str:
    """SHA-256 of a file; empty for what is none: a project, rows that were never in a file."""
    return hashlib.sha256(read_regular(file)).hexdigest() if file.is_file() else ""


def _read(path: Path) -> tuple[Table, bool]:
    """A table as it stands, and whether a comma could not be a decimal mark in it."""
    if is_project(path):
        return numbered_table(path, enumerate(rows_of_project(path), start=1)), True
    file = path / RUNS_FILE if path.is_dir() else path
    if not file.exists():
        expected = f"a study's folder with {RUNS_FILE}, or a table" if path.is_dir() else "a folder or a table"
        raise InputError(f"{file}: not found; expected {expected}{nearest_file(file)}")
    if not file.is_file():
        raise InputError(f"{file}: is no file; expected a table")
    rows, comma_parts_fields = file_rows(file)
    return numbered_table(file, rows), comma_parts_fields


def _curves_by(group: str) -> str:
    return "curves: one through all rows" if group == POOLED else f"curves: by {group!r}"


def _joined(row: Row, column: str) -> str:
    """The name of a row's curve: its strategy, where it has one, and what the column says."""
    return ", ".join(str(value) for value in (row.get(IDENTITY[0]), row.get(column)) if value not in (None, ""))
