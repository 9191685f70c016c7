"""Tables of runs: a study's folder, JSON lines, CSV or Parquet, as rows of named values with their place for
messages.
"""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from analysis.tables.wandb_export import is_export, rows_of
from analysis.tables.wandb_online import is_online, rows_of_project
from scaling.errors import InputError, nearest
from scaling.ledger.records import RUNS_FILE
from scaling.system.json_files import parse_json, read_json_lines

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows and where they came from; `lines[i]` is the line of `rows[i]` in `path`, `named` the columns renamed."""

    path: Path
    rows: tuple[Row, ...]
    lines: tuple[int, ...]
    named: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Every column that some row has, in order of appearance."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row))

    def place(self, index: int) -> str:
        """File and line of a row, for messages."""
        return f"{self.path}:{self.lines[index]}"

    def require(self, column: str) -> None:
        """Raise InputError unless some row has `column`."""
        if column not in self.names:
            raise InputError(f"{self.path}: no column {column!r}; name it with --columns{nearest(column, self.names)}")

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

    def renamed(self, columns: Mapping[str, str]) -> "Table":
        """The table with each column `columns[name]` also readable as `name`."""
        for column in columns.values():
            self.require(column)
        rows = tuple({**row, **{new: row.get(old) for new, old in columns.items()}} for row in self.rows)
        return replace(self, rows=rows, named=columns)


def read_table(path: Path) -> Table:
    """Read a study's folder (its runs.jsonl), a folder of offline W&B runs, a project online (wandb:ENTITY/PROJECT), or
    a .jsonl, .json, .csv, .tsv or .parquet file.

    Lines of a CSV that start with # are remarks. Raises InputError where the file is missing, empty or malformed.
    """
    if is_online(path):
        return _table(path, list(enumerate(rows_of_project(path), start=1)))
    file = path / RUNS_FILE if path.is_dir() else path
    if path.is_dir() and not file.exists() and is_export(path):
        return _table(path, list(enumerate(rows_of(path), start=1)))
    if not file.exists():
        wanted = f"a study's folder with {RUNS_FILE}, or a table" if path.is_dir() else "a folder or a table"
        raise InputError(f"{file}: not found; expected {wanted}")
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise InputError(f"{file}: unknown kind of table {file.suffix!r}{nearest(file.suffix, _READERS)}")
    return _table(file, list(reader(file)))


def _table(path: Path, numbered: Sequence[tuple[int, Row]]) -> Table:
    if not numbered:
        raise InputError(f"{path}: no rows")
    return Table(path=path, rows=tuple(row for _, row in numbered), lines=tuple(line for line, _ in numbered))


def _read_jsonl(file: Path) -> Iterator[tuple[int, Row]]:
    yield from read_json_lines(file)


def _read_json(file: Path) -> Iterator[tuple[int, Row]]:
    rows = parse_json(_text(file), str(file))
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{file}: expected a list of objects, or fits as `fit --out` left them")
    yield from enumerate(rows, start=1)


def _read_csv(file: Path) -> Iterator[tuple[int, Row]]:
    lines = [
        (number, text) for number, text in enumerate(_text(file).splitlines(), start=1) if not text.startswith("#")
    ]
    delimiter = "\t" if file.suffix.lower() == ".tsv" else ","
    reader = csv.DictReader((text for _, text in lines), delimiter=delimiter)
    for row in reader:
        number = lines[reader.line_num - 1][0]
        if None in row or None in row.values():
            raise InputError(f"{file}:{number}: {reader.line_num} has another number of fields than the header")
        yield number, row


def _read_parquet(file: Path) -> Iterator[tuple[int, Row]]:
    import pandas as pd

    try:
        frame = pd.read_parquet(file)
    except ImportError:
        raise InputError(f"{file}: reading Parquet needs pyarrow: pip install 'asr-scaling[table]'") from None
    except (OSError, ValueError, TypeError, NotImplementedError) as error:  # what pyarrow's own errors are
        raise InputError(f"{file}: no readable Parquet ({error})") from None
    yield from enumerate(frame.to_dict("records"), start=1)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{file}: not UTF-8 text") from None
    except OSError as error:
        raise InputError(f"{file}: not readable ({error.strerror})") from None


_READERS = {
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".parquet": _read_parquet,
}
