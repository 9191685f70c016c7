"""Tables of runs: rows of named values from a study's folder, a file or a Weights & Biases project.

Each row keeps the line that it stands on, so that messages can name it. JSON lines and CSV are not read by pandas: its
import costs .25 s of processor time, which is more than all else that a verb imports; and of a CSV it takes the first
column of rows that are one field too long for an index, and fills rows that are too short, where an error with the line
is wanted. Parquet is read by pandas.
"""

import csv
import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from analysis.tables.wandb import is_project, rows_of_project
from scaling.errors import InputError, nearest
from scaling.ledger.records import RUNS_FILE, is_usable
from scaling.system.json_files import parse_json, read_json_lines
from scaling.system.text_bytes import without_mark

Row = Mapping[str, Any]
"""One run: its values by the name of their column. In other people's tables a value may be anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows and where they came from: `lines[i]` is the line of `rows[i]` in `path`.

    `named` tells which column of the file is also readable under another name: {"flops": "budget"}.
    """

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
        """The table with each column `columns[name]` also readable as `name`. Raises InputError where one is absent."""
        for column in columns.values():
            self.require(column)
        rows = tuple({**row, **{new: row.get(old) for new, old in columns.items()}} for row in self.rows)
        return replace(self, rows=rows, named=columns)


def read_table(path: Path) -> Table:
    """Read a study's folder (its runs.jsonl), a .jsonl, .json, .csv, .tsv or .parquet file, or a project online
    (wandb:ENTITY/PROJECT).

    Lines of a CSV that start with # are remarks. Raises InputError where the file is missing, empty or malformed, and
    where no run has a result, because all have diverged or failed.
    """
    if is_project(path):
        return _table(path, enumerate(rows_of_project(path), start=1))
    file = path / RUNS_FILE if path.is_dir() else path
    if not file.exists():
        expected = f"a study's folder with {RUNS_FILE}, or a table" if path.is_dir() else "a folder or a table"
        raise InputError(f"{file}: not found; expected {expected}")
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise InputError(f"{file}: unknown kind of table {file.suffix!r}{nearest(file.suffix, _READERS)}")
    return _table(file, reader(file))


def file_sha256(file: Path) -> str:
    """SHA-256 of a file; empty for a folder or a project. Raises InputError where it is missing."""
    if file.is_dir() or is_project(file):
        return ""
    if not file.exists():
        raise InputError(f"{file}: not found; expected a study's folder with {RUNS_FILE}")
    return hashlib.sha256(file.read_bytes()).hexdigest()


def read_text(file: Path) -> str:
    """The text of a file, without a byte order mark. Raises InputError where it cannot be read or is not UTF-8."""
    try:
        text = without_mark(file.read_bytes(), str(file)).decode()
    except UnicodeDecodeError:
        raise InputError(f"{file}: not UTF-8 text") from None
    except OSError as error:
        raise InputError(f"{file}: not readable ({error.strerror})") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _table(path: Path, numbered_rows: Iterator[tuple[int, Row]]) -> Table:
    lines_and_rows = tuple(zip(*numbered_rows, strict=True))
    if not lines_and_rows:
        raise InputError(f"{path}: no rows")
    lines, rows = lines_and_rows
    if not any(map(is_usable, rows)):
        counts = Counter(str(row["status"]) for row in rows)
        statuses = ", ".join(f"{count} {status}" for status, count in counts.most_common())
        cause = next((f"; the first: {row['cause']}" for row in rows if row.get("cause")), "")
        raise InputError(f"{path}: no run of {len(rows)} has a result ({statuses}){cause}")
    return Table(path=path, lines=lines, rows=rows)


def _read_json(file: Path) -> Iterator[tuple[int, Row]]:
    rows = parse_json(read_text(file), str(file))
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{file}: expected a list of objects, or fits as `fit --out` left them")
    return enumerate(rows, start=1)


def _read_csv(file: Path) -> Iterator[tuple[int, Row]]:
    texts = enumerate(read_text(file).splitlines(), start=1)
    lines = [(number, text) for number, text in texts if not text.startswith("#")]
    reader = csv.DictReader((text for _, text in lines), delimiter="\t" if file.suffix.lower() == ".tsv" else ",")
    for row in reader:
        number = lines[reader.line_num - 1][0]
        if None in row or None in row.values():
            raise InputError(f"{file}:{number}: the line has another number of fields than the header")
        yield number, row


def _read_parquet(file: Path) -> Iterator[tuple[int, Row]]:
    import pandas as pd

    try:
        frame = pd.read_parquet(file)
    except ImportError:
        raise InputError(f"{file}: reading Parquet needs pyarrow: pip install 'asr-scaling[table]'") from None
    except (OSError, ValueError, TypeError, NotImplementedError) as error:  # pyarrow's errors derive from these
        raise InputError(f"{file}: no readable Parquet ({error})") from None
    rows = [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
    return enumerate(rows, start=1)


_READERS = {
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": _read_json,
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".parquet": _read_parquet,
}
