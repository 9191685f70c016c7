"""What the text of options means: NAME=VALUE pairs as columns chosen, or as places where a law is asked."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from analysis.curves.curves import Curve
from analysis.curves.places import positive
from analysis.fitting.laws import LAWS
from analysis.tables.choice import Choice
from analysis.tables.seed_averaged_points import SOURCE
from analysis.tables.stored_table import named_again
from analysis.tables.table import understood_table
from scaling.errors import InputError

_COMMA_BETWEEN_PAIRS = re.compile(r",(?=\s*\w+\s*=|\s*$)")
"""A comma before NAME=; others belong to the name of a column, such as `cer, test`."""


def choice_of(
    columns: str | None,
    where: str | None,
    group: str | None,
    strategy: str | None,
    encoder: str | None,
    llm: str | None,
) -> Choice:
    """What the options of a table choose. Raises InputError for a text of --columns that is no NAME=COLUMN pairs."""
    named = {} if columns is None else _pairs("--columns", columns)
    return Choice(columns=named, where=where, group=group, strategy=strategy, encoder=encoder, llm=llm)


def named_numbers(option: str, text: str) -> dict[str, float]:
    """The numbers of `NAME=VALUE,NAME=VALUE`. Raises InputError for any other text and for numbers not positive."""
    return {name: _number(f"{option} {name}", value) for name, value in _pairs(option, text).items()}


def law_columns_in(file: Path, columns: Mapping[str, str]) -> tuple[str, ...]:
    """The columns of the law that is asked at the rows of `file`: FLOPs where it has them, else those of the law whose
    columns it has, by their own names, their usual ones, or as `columns` says.
    """
    names = {*understood_table(file, {}).names}
    there = {name for name, column in columns.items() if {column, column.rpartition(":")[0]} & names} | names
    of_laws = dict.fromkeys(law.columns for law in LAWS.values())
    found = [of_law for of_law in of_laws if all({name, SOURCE.get(name, name)} & there for name in of_law)]
    return max(found, key=lambda of_law: (of_law == ("C",), len(of_law)), default=("C",))


def law_columns_of_table(
    curve: Curve, file: Path, columns: Mapping[str, str], named: Mapping[str, str]
) -> dict[str, list[float]]:
    """The columns of the law in the table `file`: under their own names, as runs have them, as `columns` says, or as
    the fitted table had them (`named`). Raises InputError where one is missing.
    """
    table = understood_table(file, {})
    there = {name: column for name, column in columns.items() if {column, column.rpartition(":")[0]} & {*table.names}}
    table = named_again(table, Choice(columns=there).sources)
    table.announce()
    points = {}
    for name in curve.domain:
        source = SOURCE.get(name, name)
        column = next((known for known in (name, source, named.get(source, name)) if known in table.names), name)
        table.require(column)
        points[name] = [table.number(i, column) for i in range(len(table.rows))]
    return points


def positive_numbers(option: str, texts: Sequence[str]) -> list[float]:
    """The numbers of every `VALUE,VALUE` given to an option. Raises InputError for what is no positive number."""
    return [_number(option, value.strip()) for text in texts for value in text.split(",")]


def _pairs(option: str, text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in _COMMA_BETWEEN_PAIRS.split(text)]
    if not all(name.strip() and sign and value.strip() for name, sign, value in pairs):
        raise InputError(f"{option} {text!r}: expected NAME=VALUE, separated by commas")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _number(option: str, text: str) -> float:
    try:
        return positive(option, float(text))
    except ValueError:
        raise InputError(f"{option}: {text!r}, expected a positive number") from None
