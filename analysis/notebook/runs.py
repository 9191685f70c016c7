"""Runs in a notebook: from a file, a project, a data frame, columns or rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from analysis.curves.fits_file import Source, table_of
from analysis.formatting import counted, number
from analysis.notebook.shown import html_table
from analysis.tables.choice import Choice
from analysis.tables.table import Row, Table, numbered_table
from analysis.tables.table_files import rows_of_frame
from analysis.tables.usable_rows import ERROR, FLOPS
from scaling.errors import InputError

if TYPE_CHECKING:
    from pandas import DataFrame

MOST_ROWS = 10
"""So many rows are shown."""

Readable = Union[str, Path, "DataFrame", Mapping[str, Any], Sequence[Mapping[str, Any]], "Runs"]
"""What `read` takes."""


@dataclass(frozen=True, slots=True, repr=False)
class Runs:
    """Runs, as `analysis.read` has read them: `source` is where they come from, `choice` what was chosen of them."""

    source: Source
    choice: Choice = field(default_factory=Choice)

    @property
    def table(self) -> Table:
        """The rows, as they were understood."""
        return table_of(self.source, self.choice, ("C",))

    def __len__(self) -> int:
        return len(self.table.rows)

    def __repr__(self) -> str:
        table = self.table
        curves = list(dict.fromkeys(str(row.get("strategy") or "all") for row in table.rows))
        return f"<{counted(len(table.rows), 'run')} of {table.path}: {', '.join(curves)}>"

    def _repr_html_(self) -> str:
        table = self.table
        names = [name for name in ("strategy", "encoder", "llm", FLOPS, ERROR, "seed") if name in table.names]
        rows = [[_text(row.get(name)) for name in names] for row in table.rows[:MOST_ROWS]]
        more = len(table.rows) - len(rows)
        return html_table(names, rows, [*table.remarks, *([f"and {more} more runs"] if more else [])])


def read(
    source: Readable,
    *,
    columns: Mapping[str, str] | None = None,
    where: str | None = None,
    group: str | Sequence[str] | None = None,
) -> Runs:
    """Runs of a study's folder, a table (CSV, JSON lines, Parquet), `wandb:ENTITY/PROJECT`, a file of fits, a pandas
    data frame, columns by name (lists, arrays, or a value for all rows), or rows.

    `columns` names columns by what laws call them ({"y": "eval/cer"}, or "eval/cer:percent"), `where` is an expression
    that rows satisfy, `group` names the column, or the columns, that part curves. A named index of a data frame is a
    column, too. Usual names and units are understood, and said on stderr. Raises InputError where they are not.

    >>> import analysis
    >>> analysis.read({"FLOPs": [1e18, 1e19, 1e20], "CER": [0.24, 0.13, 0.08], "seed": 0})
    <3 runs of columns: all>
    >>> analysis.read([{"compute": 1e18, "cer": "24%"}, {"compute": 1e19, "cer": "13%"}], where="compute > 2e18")
    <1 run of rows: all>
    """
    choice = _choice(columns, where, group)
    if isinstance(source, Runs):
        chosen = {name: value for name in ("columns", "where", "group") if (value := getattr(choice, name))}
        return replace(source, choice=replace(source.choice, **chosen))
    runs = Runs(Path(source) if isinstance(source, str | Path) else _table(source), choice)
    runs.table.certain("strategy")
    return runs


def _choice(columns: Any, where: Any, group: Any) -> Choice:
    """What was chosen. Raises InputError for arguments of other types."""
    if not (columns is None or isinstance(columns, Mapping)) or not all(
        isinstance(part, str) for part in chain.from_iterable((columns or {}).items())
    ):
        raise InputError(f"columns: {columns!r}, expected names of columns, such as {{'y': 'eval/cer'}}")
    names = [group] if isinstance(group, str) else [] if group is None else group
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise InputError(f"group: {group!r}, expected the name of a column, or several")
    if not (where is None or isinstance(where, str)):
        raise InputError(f"where: {where!r}, expected an expression such as 'flops >= 1e18 and seed == 0'")
    return Choice(columns=columns or {}, where=where, group=",".join(names) if names else None)


def _table(source: Any) -> Table:
    """Rows in memory as a table that is named by what they are."""
    if hasattr(source, "to_pandas"):  # polars, pyarrow
        source = source.to_pandas()
    if hasattr(source, "iterrows"):
        return numbered_table(Path("data frame"), rows_of_frame(source))
    if isinstance(source, Mapping):
        return numbered_table(Path("columns"), enumerate(_rows_of_columns(source), start=1))
    rows = list(source) if isinstance(source, Iterable) else [source]
    if all(isinstance(row, Mapping) for row in rows):
        plain = ({str(name): _plain(value) for name, value in row.items()} for row in rows)
        return numbered_table(Path("rows"), enumerate(plain, start=1))
    raise InputError(f"read: {type(source).__name__}; expected a path, a data frame, columns by name, or rows")


def _rows_of_columns(columns: Mapping[str, Any]) -> list[Row]:
    """Rows made of columns; a column that is a single value is repeated in every row."""
    values = {str(name): _plain(column) for name, column in columns.items()}
    lengths = {name: len(column) for name, column in values.items() if isinstance(column, list | tuple)}
    if len(set(lengths.values())) > 1:
        each = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise InputError(f"read: columns of unequal lengths: {each}")
    count = next(iter(lengths.values()), 1 if values else 0)
    return [{name: column[i] if name in lengths else column for name, column in values.items()} for i in range(count)]


def _plain(value: Any) -> Any:
    """Arrays as lists, their numbers as those of Python."""
    return value.tolist() if hasattr(value, "tolist") else value


def _text(value: Any) -> str:
    return number(value) if isinstance(value, float) else "" if value is None else str(value)
