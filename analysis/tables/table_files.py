"""Rows of files as people have them: delimited text, JSON by rows, by columns or by lines, Parquet. Each row has the
line or the number that it stands on. Text and JSON may be gzipped.

JSON and CSV are not read by pandas: its import costs .25 s of processor time, which is more than all else that a verb
imports; and see `delimited`. Parquet is read by pandas.
"""

import codecs
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.tables.delimited import delimited_rows
from analysis.tables.wandb import flat
from scaling.errors import InputError, nearest
from scaling.system.json_files import parse_json, read_json_lines, read_unpacked

if TYPE_CHECKING:
    from pandas import DataFrame

DELIMITED = (".csv", ".tsv", ".txt", ".md")
JSON_LINES = (".jsonl", ".ndjson")
KINDS = (*DELIMITED, *JSON_LINES, ".json", ".parquet")
"""The ends of names of tables; all but Parquet may be followed by .gz."""

WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".ods", ".numbers")

Row = Mapping[str, Any]
NumberedRows = Iterable[tuple[int, Row]]


def file_rows(file: Path) -> tuple[NumberedRows, bool]:
    """A file's rows, and whether no comma in it is a decimal mark. Raises InputError for other kinds, or malformed."""
    kind = Path(file.name.removesuffix(".gz")).suffix.lower()
    if kind in WORKBOOKS:
        raise InputError(f"{file}: a workbook; save the sheet with the runs as CSV")
    if kind not in KINDS or (kind == ".parquet" and file.suffix == ".gz"):
        raise InputError(f"{file}: unknown kind of table {file.suffix!r}{nearest(file.suffix, KINDS)}")
    if kind in DELIMITED:
        delimiter, rows = delimited_rows(_text(file), str(file))
        return rows, delimiter == ","
    if kind == ".parquet":
        return _parquet_rows(file), True
    rows_of_json = _json_rows(file) if kind == ".json" else read_json_lines(file)
    return ((number, _flat(row)) for number, row in rows_of_json), True


def rows_of_frame(frame: "DataFrame") -> NumberedRows:
    """Rows of a data frame, from 1; missing is None, a named index a column. Raises InputError for equal names."""
    index = [name for name in frame.index.names if name is not None and name not in frame.columns]
    if index:
        frame = frame.reset_index(level=index)
    if not frame.columns.is_unique:
        repeated = ", ".join(map(repr, dict.fromkeys(frame.columns[frame.columns.duplicated()])))
        raise InputError(f"data frame: {repeated} names more than one column")
    plain = frame.astype(object).where(frame.notna(), None)
    rows = ({str(name): value for name, value in row.items()} for row in plain.to_dict("records"))
    return enumerate(rows, start=1)


def _text(file: Path) -> str:
    """The text of a file, without a byte order mark: UTF-8, or UTF-16 with its mark."""
    raw = read_unpacked(file)
    wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # Excel's "Unicode text"
    try:
        return raw.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise InputError(f"{file}:{line}: not UTF-8 text; save it as UTF-8 (in Excel: 'CSV UTF-8')") from None


def _json_rows(file: Path) -> NumberedRows:
    """The rows of a JSON file: a list of objects, columns by name, or rows by name, as pandas writes them; or lines."""
    text = _text(file)
    try:
        value = parse_json(text, str(file))
    except InputError:
        if len(text.splitlines()) > 1 and text.startswith("{") and text.splitlines()[0].endswith("}"):
            return read_json_lines(file)
        raise
    if isinstance(value, dict):
        value = _rows_by_name(value)
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise InputError(
            f"{file}: expected a list of objects, columns of equal length by name, or fits as `fit --out` left them"
        )
    return enumerate(value, start=1)


def _rows_by_name(value: dict[str, Any]) -> list[Row] | None:
    """The rows of columns by name, or of rows by name; None for any other object."""
    parts = list(value.values())
    if all(isinstance(part, dict) for part in parts):
        labels = list(dict.fromkeys(label for part in parts for label in part))
        if all(label.isdecimal() for label in labels):  # columns, each by the number of its row
            return [{name: column.get(label) for name, column in value.items()} for label in labels]
        return [{"name": name, **row} for name, row in value.items()]
    if all(isinstance(part, list) for part in parts) and len({len(part) for part in parts}) == 1:
        return [dict(zip(value, row, strict=True)) for row in zip(*parts, strict=True)]
    return None


def _flat(row: Row) -> Row:
    """Another program's row with the values inside objects beside the others: `config/lr`."""
    is_own = "schema" in row or "provenance" in row  # as `RunRow` is written, or as others write after it
    return row if is_own or not any(isinstance(part, dict) for part in row.values()) else dict(flat(row))


def _parquet_rows(file: Path) -> NumberedRows:
    import pandas as pd

    try:
        frame = pd.read_parquet(file)
    except ImportError:
        raise InputError(f"{file}: reading Parquet needs pyarrow: pip install 'asr-scaling[table]'") from None
    except (OSError, ValueError, TypeError, NotImplementedError) as error:  # pyarrow's errors derive from these
        raise InputError(f"{file}: no readable Parquet ({error})") from None
    return rows_of_frame(frame)
