"""What the options of the verbs mean: a source with renamed columns and chosen rows as a table, text as points."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from analysis.curves.curves import Curve
from analysis.tables.points import LARGEST, SOURCE
from analysis.tables.row_filter import select_rows
from analysis.tables.table import Table, understood_table
from scaling.errors import InputError, nearest
from scaling.system.progress_line import announce_if_slow


def positive(option: str, value: float) -> float:
    """`value`, where it is a positive number below `LARGEST`. Raises InputError, naming the option, for any other."""
    if not 0.0 < value < LARGEST:
        raise InputError(f"{option}: {value}, expected a positive number below {LARGEST:g}")
    return value


def chosen_table(
    source: Path,
    columns: str | None,
    where: str | None,
    group: str | None = None,
    law_columns: tuple[str, ...] = ("C",),
) -> Table:
    """The table of `source`, with columns named as `columns` says, the rows that `where` chooses, and a curve for each
    value of `group`, or for each of a column of text that tells rows with equal `law_columns` apart.

    Raises InputError where the source, a column or the expression is not as expected.
    """
    named = {} if columns is None else _pairs("--columns", columns)
    with announce_if_slow(f"reading {source}"):
        table = understood_table(source, {SOURCE.get(name, name): column for name, column in named.items()})
    if where is not None:
        table = select_rows(table, where)
    table = table.parted([SOURCE.get(name, name) for name in law_columns], group)
    table.announce()
    return table


def positive_numbers(option: str, texts: Sequence[str]) -> list[float]:
    """The numbers of every `VALUE,VALUE` given to an option. Raises InputError for what is no positive number."""
    return [_number(option, value.strip()) for text in texts for value in text.split(",")]


def named_numbers(option: str, text: str) -> dict[str, float]:
    """The numbers of `NAME=VALUE,NAME=VALUE`. Raises InputError for any other text and for numbers not positive."""
    return {name: _number(f"{option} {name}", value) for name, value in _pairs(option, text).items()}


def law_columns(curve: Curve, text: str) -> dict[str, list[float]]:
    """The one point that `--at` names, by the columns of the law. Raises InputError for unknown and missing columns."""
    columns = list(curve.domain)
    values = _pairs("--at", text)
    for name in values:
        if name not in columns:
            raise InputError(f"--at: the law has no column {name!r}{nearest(name, columns)}")
    if missing := [name for name in columns if name not in values]:
        raise InputError(f"--at: {', '.join(missing)} missing; the law needs {', '.join(columns)}")
    return {name: [_number(f"--at {name}", values[name])] for name in columns}


def law_columns_of_table(curve: Curve, table: Table, named: Mapping[str, str]) -> dict[str, list[float]]:
    """The columns of the law in a table: under their own names, as runs have them, or as the fitted table had them."""
    points = {}
    for name in curve.domain:
        source = SOURCE.get(name, name)
        column = next((known for known in (name, source, named.get(source, name)) if known in table.names), name)
        table.require(column)
        points[name] = [table.number(i, column) for i in range(len(table.rows))]
    return points


def _pairs(option: str, text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(name.strip() and sign and value.strip() for name, sign, value in pairs):
        raise InputError(f"{option} {text!r}: expected NAME=VALUE, separated by commas")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _number(option: str, text: str) -> float:
    try:
        return positive(option, float(text))
    except ValueError:
        raise InputError(f"{option}: {text!r}, expected a positive number") from None
