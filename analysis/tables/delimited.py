"""Rows of delimited text (CSV, TSV) as spreadsheets, trackers and people write it: commas, semicolons, tabs, bars or
spaces between the fields, remarks that start with #, Excel's `sep=;`, units below the header, a table in Markdown.

`pandas.read_csv` is not used: it takes the first column of rows that are too long for an index, fills rows that are too
short without a word, and its import costs .25 s of processor time (measured).
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import takewhile

from analysis.tables.understanding.column_names import PERCENT_WORDS
from analysis.tables.understanding.values import MAGNITUDES, MISSING, UNITS, read_numbers
from scaling.errors import InputError

DELIMITERS = (",", ";", "\t", "|")
"""What may stand between fields; the first where several part the header into as many."""

NumberedLine = tuple[int, str]
NumberedRow = tuple[int, dict[str, str]]
"""A row, and the line that it ends on."""

_RULE = re.compile(r"^[\s|:+=-]*---?[\s|:+=-]*$")
_UNITS = PERCENT_WORDS | {unit.lower() for unit in UNITS}
_UNITS_OF_A_HEADER = _UNITS - {*MAGNITUDES}


def delimited_rows(text: str, source: str) -> tuple[str, Iterator[NumberedRow]]:
    """The delimiter of a text, and its rows. Raises InputError for a header that names a column twice or has numbers in
    place of names, and, with its line, for a row that has more or fewer fields than the header.
    """
    plain = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")
    numbered = enumerate(plain.split("\n"), start=1)
    given = [(number, line) for number, line in numbered if not _RULE.match(line)]
    lines = [(number, line) for number, line in given if not line.startswith("#")]
    blank = len(list(takewhile(lambda numbered_line: not numbered_line[1].strip(), lines)))
    lines = lines[blank:]
    if lines and lines[0][1].lower().startswith("sep="):
        delimiter, lines = lines[0][1][len("sep=") :] or ",", lines[1:]
    else:
        delimiter = delimiter_of([line for _, line in lines])
    if lines and _are_numbers(_fields(lines[0][1], delimiter)):
        lines = [_header_in_a_remark(given, lines[0], delimiter, source), *lines]
    return delimiter, _rows(lines, delimiter, source)


def delimiter_of(lines: Sequence[str]) -> str:
    """The delimiter that parts the header, and as many following lines as possible, into the same number of fields;
    spaces where no other delimiter parts the header.

    >>> delimiter_of(["flops;cer", "1,5e18;0,24"]), delimiter_of(["flops"]), delimiter_of(["flops   cer", "1e18 .2"])
    (';', ',', ' ')
    """

    def fit(delimiter: str) -> tuple[bool, float, int]:
        reader = csv.reader(lines[:100], delimiter=delimiter, skipinitialspace=True)
        widths = [len(fields) for fields in reader if fields]
        agreeing = sum(width == widths[0] for width in widths) / len(widths) if widths else 0.0
        return (bool(widths) and widths[0] > 1), agreeing, widths[0] if widths else 0

    best = max(DELIMITERS, key=fit)
    return " " if not fit(best)[0] and fit(" ")[:2] == (True, 1.0) else best


def _rows(lines: Sequence[NumberedLine], delimiter: str, source: str) -> Iterator[NumberedRow]:
    reader = csv.reader((line for _, line in lines), delimiter=delimiter, skipinitialspace=True)
    header = [name.strip() for name in next(reader, [])]
    repeated = [name for name, times in Counter(header).items() if name and times > 1]
    if repeated:
        raise InputError(f"{source}: the header names {', '.join(map(repr, repeated))} more than once")
    index_columns = len(list(takewhile(lambda name: not name, header)))
    for at, fields in enumerate(reader):
        number = lines[reader.line_num - 1][0]
        if not any(field.strip() for field in fields):
            continue
        if len(fields) != len(header):
            message = f"the line has another number of fields ({len(fields)}) than the header ({len(header)})"
            raise InputError(f"{source}:{number}: {message}")
        if at == 0 and _are_units(fields):
            header = [f"{name} ({unit})" if unit else name for name, unit in zip(header, _units(fields), strict=True)]
            continue
        for name, field in list(zip(header, fields, strict=True))[index_columns:]:
            if field.strip() and not name:
                raise InputError(
                    f"{source}:{number}: {field.strip()!r} stands in a column that the header does not name"
                )
        yield number, {name: field.strip() for name, field in zip(header, fields, strict=True) if name}


def _fields(line: str, delimiter: str) -> list[str]:
    fields = next(csv.reader([line.strip()], delimiter=delimiter, skipinitialspace=True), [])
    return [field.strip() for field in fields]


def _are_numbers(fields: Sequence[str]) -> bool:
    return any(fields) and all(read_numbers([field]).numeric for field in fields if field)


def _header_in_a_remark(
    given: Sequence[NumberedLine], first: NumberedLine, delimiter: str, source: str
) -> NumberedLine:
    """The names of the columns that stand in the remark above the first row, as numpy writes them: `# flops cer`."""
    above = [line for number, line in given if number < first[0] and line.startswith("#")]
    wanted = len(_fields(first[1], delimiter))
    for line in (above[-1].lstrip("# "), above[-1]) if above else ():
        if len(_fields(line, delimiter)) == wanted:
            return given[[line for _, line in given].index(above[-1])][0], line
    raise InputError(f"{source}:{first[0]}: {first[1]!r} are numbers; expected a header with the names of the columns")


def _units(fields: Sequence[str]) -> list[str]:
    return [field.strip().strip("[]()") for field in fields]


def _are_units(fields: Sequence[str]) -> bool:
    """Whether a line names units alone: percent and FLOPs, such as `EFLOPs,%`, others among them or in brackets."""
    given = [unit.lower() for unit in _units(fields)]
    bracketed = [field.strip()[:1] in ("[", "(") for field in fields]
    told = [
        unit in _UNITS_OF_A_HEADER or (inside and unit in _UNITS) for unit, inside in zip(given, bracketed, strict=True)
    ]
    plausible = [unit in _UNITS or unit in MISSING or inside for unit, inside in zip(given, bracketed, strict=True)]
    return any(told) and all(plausible)
