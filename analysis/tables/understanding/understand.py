"""What the columns of anybody's table mean: which is the error, which the training FLOPs, and in which unit they stand.

What is understood is added to the rows under the names that analysis uses, as plain numbers, and said in a remark. What
is in doubt is not guessed: it is an error as soon as the column is needed.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from analysis.tables.understanding.column_names import (
    MEANINGS,
    TEXTS,
    ColumnCandidate,
    Meaning,
    candidate,
    column_candidates,
    error_name,
    text_column,
    words,
)
from analysis.tables.understanding.run_states import DONE, run_state
from analysis.tables.understanding.units import BASES, DoubtError, base_of, check_size, columns_option, scale_of_errors
from analysis.tables.understanding.values import UNITS, Numbers, decimal_mark, read_numbers
from scaling.errors import nearest

COUNTED_IN = {"wer": {"ref_chars": "ref_words"}}
"""For an error rate other than the CER: the column of the length it is counted in, by the name that the noise reads."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderstoodColumn:
    """A column that analysis reads: the column of the table that it came from, its values, what was understood."""

    source: str
    values: Sequence[Any]
    remark: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Understanding:
    """Columns by the name that analysis gives them, and doubts about columns that are not among them."""

    columns: Mapping[str, UnderstoodColumn] = field(default_factory=dict)
    doubts: Mapping[str, str] = field(default_factory=dict)

    @property
    def named(self) -> dict[str, str]:
        """Which column of the table each came from, where it has another name there."""
        return {name: column.source for name, column in self.columns.items() if column.source != name}

    @property
    def remarks(self) -> list[str]:
        """What was understood, in words: `cer: column 'eval/cer', percent, divided by 100`."""
        return [f"{_called(name, column)}: {column.remark}" for name, column in self.columns.items() if column.remark]

    def added_to(self, rows: Sequence[Row]) -> tuple[Row, ...]:
        """The rows with these columns."""
        return tuple(
            {**row, **{name: column.values[i] for name, column in self.columns.items()}} for i, row in enumerate(rows)
        )


def understand(rows: Sequence[Row], chosen: Mapping[str, str], comma_parts_fields: bool = True) -> Understanding:
    """Understand a table. `chosen` names columns as the user did: {"cer": "eval/cer"}, or "eval/cer:percent".

    Where commas part the fields, a comma inside a number can only part thousands. Rows of this product's own studies
    are taken as they are. A chosen column that the table does not have is left to the caller.
    """
    if not chosen and all(str(row.get("schema", "")).startswith("asr-scaling/") for row in rows):
        return Understanding()
    table = _Given(rows=rows, mark=_decimal_mark(rows), comma_parts_fields=comma_parts_fields)
    columns, doubts = dict(table.known_texts(chosen)), dict[str, str]()
    counted = [row_status in (DONE, None, "") for row_status in _statuses(table, columns)]
    for meaning in (*MEANINGS, *_other_meanings(chosen)):
        try:
            source = table.source(meaning, chosen.get(meaning.column))
            if source is not None:
                columns[meaning.column] = table.column(meaning, source, counted)
        except DoubtError as doubt:
            doubts[meaning.column] = str(doubt)
    return Understanding(columns=columns | table.lengths(columns.get("cer")), doubts=doubts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """A table as it was read; `mark` is the decimal mark that its values show."""

    rows: Sequence[Row]
    mark: str | None
    comma_parts_fields: bool

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for row in self.rows for name in row))

    def values(self, name: str) -> list[Any]:
        return [row.get(name) for row in self.rows]

    def numbers(self, name: str) -> Numbers:
        return read_numbers(self.values(name), self.mark, self.comma_parts_fields)

    def known_texts(self, chosen: Mapping[str, str]) -> Iterator[tuple[str, UnderstoodColumn]]:
        """The columns of `TEXTS` that have another name here."""
        for name in TEXTS:
            source = chosen.get(name) or text_column(name, self.names)
            if source is None or source not in self.names:
                continue
            if name == "status":
                if (column := self.status(source)) is not None:
                    yield name, column
            elif source != name and (name in chosen or name not in self.names):
                numbers = self.numbers(source)
                values = _plain(self.values(source), numbers, 1.0) if numbers.numeric else self.values(source)
                yield (
                    name,
                    UnderstoodColumn(
                        source=source, values=values, remark=None if name == "name" else f"column {source!r}"
                    ),
                )

    def status(self, source: str) -> UnderstoodColumn | None:
        """Whether each run counts; None where the column says nothing of runs."""
        states = [run_state(value) for value in self.values(source)]
        if not any(states):
            return None
        statuses = [state or str(value).lower() for state, value in zip(states, self.values(source), strict=True)]
        label = text_column("name", self.names)
        labels = [f"row {i}" if label is None else str(row.get(label)) for i, row in enumerate(self.rows, start=1)]
        out = [f"{name} ({status})" for name, status in zip(labels, statuses, strict=True) if status != DONE]
        return UnderstoodColumn(
            source=source, values=statuses, remark=f"column {source!r}; left out: {', '.join(out)}" if out else None
        )

    def source(self, meaning: Meaning, chosen: str | None) -> ColumnCandidate | None:
        """The column that has a meaning; None where none has. Raises DoubtError where several may have it."""
        if chosen is not None:
            return self.chosen_source(meaning, chosen)
        if meaning.column in self.names:
            return candidate(meaning, meaning.column)
        named = column_candidates(meaning, self.names)
        alternatives = [one for one in named if self.numbers(one.name).numeric]
        if not alternatives:
            self.refuse_unreadable(named)
            return None
        equals = [one for one in alternatives if one.rank == alternatives[0].rank]
        if any(not self.same(one, alternatives[0]) for one in equals):
            listing = ", ".join(repr(one.name) for one in equals)
            way = columns_option(meaning.option, equals[0].name)
            raise DoubtError(f"which column is {meaning.says}: {listing}? Say {way}")
        return alternatives[0]

    def refuse_unreadable(self, named: Sequence[ColumnCandidate]) -> None:
        """Raise DoubtError for the best of the columns with a fitting name where what stands in it is no number."""
        for one in named:
            numbers = self.numbers(one.name)
            given = [value for value, read in zip(self.values(one.name), numbers.values, strict=True) if read]
            with_mark = [next((repr(value) for value in given if mark in str(value)), None) for mark in ".,"]
            if numbers.mark == "both" and all(with_mark):
                raise DoubtError(
                    f"column {one.name!r} has decimal points and decimal commas: {with_mark[0]} and {with_mark[1]}"
                )
            if given:
                raise DoubtError(f"column {one.name!r} has no numbers: {given[0]!r}")

    def chosen_source(self, meaning: Meaning, chosen: str) -> ColumnCandidate | None:
        """The column that the user named, with the unit behind its name."""
        name, _, unit = chosen.rpartition(":")
        if chosen in self.names or name not in self.names:
            if chosen not in self.names:
                return None
            return candidate(meaning, chosen, chosen=True) or ColumnCandidate(rank=(False, 0, False), name=chosen)
        factor = 1.0 if unit in BASES else UNITS.get(unit) or UNITS.get(unit.lower())
        if factor is None:
            raise DoubtError(f"{unit!r} is no unit{nearest(unit, (*UNITS, *BASES))}")
        return ColumnCandidate(rank=(False, 0, False), name=name, factor=factor, unit=unit)

    def same(self, one: ColumnCandidate, other: ColumnCandidate) -> bool:
        return self.numbers(one.name).values == self.numbers(other.name).values

    def column(self, meaning: Meaning, found: ColumnCandidate, counted: Sequence[bool]) -> UnderstoodColumn:
        """The values of a column in the unit of analysis, and how they were read."""
        numbers = self.numbers(found.name)
        if numbers.mark is None and any(isinstance(value, str) and "," in value for value in self.values(found.name)):
            raise DoubtError(f"column {found.name!r}: the comma in its numbers may be a decimal mark or part thousands")
        base = base_of(meaning.option, found)
        factor, words_of_unit = found.factor, found.unit
        if base is not None:
            words_of_unit = f"logarithms of base {'10' if base == 10.0 else 'e'}, raised"
        elif meaning.column == "cer" and found.unit is None:
            factor, words_of_unit = scale_of_errors(found, numbers, counted)
        elif found.unit is None:
            check_size(meaning.column, meaning.option, found, numbers)
        if factor != 1.0 and (words_of_unit is None or base is not None):
            words_of_unit = f"{words_of_unit}, times {factor:g}" if words_of_unit else f"times {factor:g}"
        remarks = [f"column {found.name!r}"] if found.name != meaning.column or words_of_unit else []
        remarks += [words_of_unit] if words_of_unit else []
        remarks += ["with decimal commas"] if numbers.mark == "," else []
        remarks += [f"units read as in {numbers.scaled!r}"] if numbers.scaled else []
        remarks += [f"without what stands in brackets, as in {numbers.bracketed!r}"] if numbers.bracketed else []
        return UnderstoodColumn(
            source=found.name,
            values=_plain(self.values(found.name), numbers, factor, base),
            remark=", ".join(remarks) if remarks else None,
        )

    def lengths(self, error: UnderstoodColumn | None) -> dict[str, UnderstoodColumn]:
        """The length that an error rate other than the CER is counted in."""
        counted = {} if error is None else COUNTED_IN.get(next(iter(words(error.source)[-1:]), ""), {})
        return {
            new: UnderstoodColumn(source=old, values=self.values(old))
            for new, old in counted.items()
            if old in self.names
        }


def _called(name: str, column: UnderstoodColumn) -> str:
    """What a remark calls a column: an error rate by what it is, cer, wer or loss."""
    return error_name(column.source).lower() if name == "cer" else name


def _other_meanings(chosen: Mapping[str, str]) -> list[Meaning]:
    """What the user names beside the usual columns: the columns of laws in other quantities."""
    usual = {meaning.column for meaning in MEANINGS} | set(TEXTS)
    return [Meaning(column=name, says=name, option=name, kinds=()) for name in chosen if name not in usual]


def _statuses(table: _Given, columns: Mapping[str, UnderstoodColumn]) -> Sequence[Any]:
    return columns["status"].values if "status" in columns else table.values("status")


def _decimal_mark(rows: Sequence[Row]) -> str | None:
    """The decimal mark of a table: what its values show; None where they show none, or both."""
    texts = (value.rstrip("% ") for row in rows for value in row.values() if isinstance(value, str))
    mark = decimal_mark(text for text in texts if text[:1].isdigit() and not set(text) - set("0123456789.,"))
    return None if mark == "both" else mark


def _plain(given: Sequence[Any], numbers: Numbers, factor: float, base: float | None = None) -> list[Any]:
    """Numbers times a factor, logarithms raised before; what is no number stays, for the error that names its line."""
    return [
        value if read is not None and math.isnan(read) else read if read is None else _scaled(read, factor, base)
        for value, read in zip(given, numbers.values, strict=True)
    ]


def _scaled(value: float, factor: float, base: float | None) -> float:
    """A product, exact in decimal where it can be: 24.1 percent is 0.241."""
    try:
        value = value if base is None else base**value
    except OverflowError:
        return math.inf
    if factor == 1.0 or not math.isfinite(value):
        return value
    return float(Decimal(repr(value)) * Decimal(repr(factor)))
