"""A table inside a file of fits: the rows that fits were made from, as they were understood and chosen."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from analysis.tables.table import Table, understood
from scaling.system.console import jsonable


def dump_table(table: Table) -> dict[str, object]:
    """A table as JSON data: numbers that are not finite become null, other values of foreign types text."""
    rows = [{name: _plain(value) for name, value in row.items()} for row in table.rows]
    return {
        "path": str(table.path),
        "lines": list(table.lines),
        "rows": rows,
        "named": dict(table.named),
        "doubts": dict(table.doubts),
    }


def load_table(document: Mapping[str, Any]) -> Table:
    """The table that `dump_table` wrote, under the name that it was read by."""
    return Table(
        path=Path(document["path"]),
        lines=tuple(document["lines"]),
        rows=tuple(document["rows"]),
        named=document["named"],
        doubts=document["doubts"],
    )


def named_again(table: Table, columns: Mapping[str, str]) -> Table:
    """A table with columns named anew: {"cer": "eval/wer"}. Raises InputError for a column that it does not have."""
    if not columns:
        return table
    read_anew = understood(table, True, columns)
    rows = tuple(
        {**row, **{name: new[name] for name in columns if name in new}}
        for row, new in zip(table.rows, read_anew.rows, strict=True)
    )
    kept = {name: doubt for name, doubt in table.doubts.items() if name not in columns}
    doubts = {name: doubt for name, doubt in read_anew.doubts.items() if name in columns}
    named = {**table.named, **{name: source for name, source in read_anew.named.items() if name in columns}}
    return replace(table, rows=rows, named=named, doubts={**kept, **doubts})


def _plain(value: Any) -> Any:
    plain = jsonable(value)
    return plain if isinstance(plain, dict | list | str | int | float | None) else str(plain)
