"""Tables of runs: rows of named values from a study's folder, a file or a Weights & Biases project.

Each row keeps the line that it stands on, so that messages can name it. What the columns of other people's tables mean
is understood by `understanding` and `groups`, and said on stderr.

JSON lines and CSV are not read by pandas: its import costs .25 s of processor time, which is more than all else that a
verb imports; and of a CSV it takes the first column of rows that are one field too long for an index, and fills rows
that are too short, where an error with the line is wanted. Parquet is read by pandas.
"""

import codecs
import hashlib
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.tables.delimited import delimited_rows
from analysis.tables.groups import IDENTITY, grouped, parting_column
from analysis.tables.long_form import one_row_a_run
from analysis.tables.understanding.understand import understand
from analysis.tables.wandb import is_project, rows_of_project
from scaling.errors import InputError, nearest, nearest_file
from scaling.ledger.records import RUNS_FILE, is_usable
from scaling.system.console import log_once
from scaling.system.contained_files import read_regular
from scaling.system.json_files import parse_json, read_json_lines

if TYPE_CHECKING:
    from pandas import DataFrame

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
            rows, remark = grouped(self.rows, group, str(self.path)), f"curves: by {group!r}"
            return replace(self, rows=rows, remarks=(*self.remarks, remark))
        if not set(law_columns) <= set(self.names) or self._is_a_study:
            return self
        column, doubt = parting_column(self.rows, law_columns)
        if doubt is not None:
            return replace(self, doubts={**self.doubts, "strategy": doubt})
        if column is None:
            return self
        rows = tuple({**row, "strategy": _joined(row, column)} for row in self.rows)
        curves = len({row["strategy"] for row in rows})
        remark = f"curves: {curves}, by column {column!r}, whose values differ at equal {', '.join(law_columns)}"
        return replace(self, rows=rows, remarks=(*self.remarks, remark))

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
    """Read a study's folder (its runs.jsonl), a .jsonl, .json, .csv, .tsv, .txt or .parquet file, or a project online
    (wandb:ENTITY/PROJECT), and say on stderr how its columns were understood.

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
    """A table as it stands, with the columns that analysis reads and those that the user has named, see
    `understanding.understand`. Raises InputError as `understood_table` does.
    """
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
    """A table as it stands, or of one row a run, see `long_form`; `path` names it in messages. Raises InputError where
    it has no rows.
    """
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


def read_text(file: Path) -> str:
    """The text of a file, without a byte order mark: UTF-8, or UTF-16 with its mark.

    Raises InputError where it cannot be read or decoded.
    """
    try:
        raw = read_regular(file)
        wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # Excel's "Unicode text"
        return raw.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{file}: not UTF-8 text") from None


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
    suffix = file.suffix.lower()
    if suffix in _DELIMITED:
        delimiter, rows = delimited_rows(read_text(file), str(file))
        return numbered_table(file, rows), delimiter == ","
    if suffix not in _READERS:
        raise InputError(
            f"{file}: unknown kind of table {file.suffix!r}{nearest(file.suffix, (*_READERS, *_DELIMITED))}"
        )
    return numbered_table(file, _READERS[suffix](file)), True


def _joined(row: Row, column: str) -> str:
    """The name of a row's curve: its strategy, where it has one, and what the column says."""
    return ", ".join(str(value) for value in (row.get(IDENTITY[0]), row.get(column)) if value not in (None, ""))


def _read_json(file: Path) -> Iterator[tuple[int, Row]]:
    rows = parse_json(read_text(file), str(file))
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{file}: expected a list of objects, or fits as `fit --out` left them")
    return enumerate(rows, start=1)


def rows_of_frame(frame: "DataFrame") -> Iterator[tuple[int, Row]]:
    """The rows of a data frame, numbered from 1; what is missing is None."""
    plain = frame.astype(object).where(frame.notna(), None)
    rows = ({str(name): value for name, value in row.items()} for row in plain.to_dict("records"))
    return enumerate(rows, start=1)


def _read_parquet(file: Path) -> Iterator[tuple[int, Row]]:
    import pandas as pd

    try:
        frame = pd.read_parquet(file)
    except ImportError:
        raise InputError(f"{file}: reading Parquet needs pyarrow: pip install 'asr-scaling[table]'") from None
    except (OSError, ValueError, TypeError, NotImplementedError) as error:  # pyarrow's errors derive from these
        raise InputError(f"{file}: no readable Parquet ({error})") from None
    return rows_of_frame(frame)


_READERS = {
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": _read_json,
    ".parquet": _read_parquet,
}
_DELIMITED = (".csv", ".tsv", ".txt")
