"""Rows of delimited text (CSV, TSV) as spreadsheets and trackers write it: commas, semicolons, tabs or bars between the
fields, remarks that start with #, Excel's `sep=;`, empty columns at the end.

`pandas.read_csv` is not used: it takes the first column of rows that are too long for an index, fills rows that are too
short without a word, and its import costs .25 s of processor time (measured).
"""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence

from scaling.errors import InputError

DELIMITERS = (",", ";", "\t", "|")
"""What may stand between fields; the first where several part the header into as many."""


NumberedRow = tuple[int, dict[str, str]]
"""A row, and the line that it ends on."""


def delimited_rows(text: str, source: str) -> tuple[str, Iterator[NumberedRow]]:
    """The delimiter of a text, and its rows. Raises InputError for a header that names a column twice, and, with its
    line, for a row that has more or fewer fields than the header.
    """
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if not line.startswith("#")]
    if lines and lines[0][1].lower().startswith("sep="):
        delimiter, lines = lines[0][1][len("sep=") :] or ",", lines[1:]
    else:
        delimiter = delimiter_of([line for _, line in lines])
    return delimiter, _rows(lines, delimiter, source)


def delimiter_of(lines: Sequence[str]) -> str:
    """The delimiter that parts the header, and as many following lines as possible, into the same number of fields.

    >>> delimiter_of(["flops;cer", "1,5e18;0,24"]), delimiter_of(["flops"])
    (';', ',')
    """

    def fit(delimiter: str) -> tuple[bool, float, int]:
        widths = [len(fields) for fields in csv.reader(lines[:100], delimiter=delimiter) if fields]
        agreeing = sum(width == widths[0] for width in widths) / len(widths) if widths else 0.0
        return (bool(widths) and widths[0] > 1), agreeing, widths[0] if widths else 0

    return max(DELIMITERS, key=fit)


def _rows(lines: Sequence[tuple[int, str]], delimiter: str, source: str) -> Iterator[NumberedRow]:
    reader = csv.reader((line for _, line in lines), delimiter=delimiter, skipinitialspace=True)
    header = [name.strip() for name in next(reader, [])]
    repeated = [name for name, times in Counter(header).items() if name and times > 1]
    if repeated:
        raise InputError(f"{source}: the header names {', '.join(map(repr, repeated))} more than once")
    for fields in reader:
        number = lines[reader.line_num - 1][0]
        if not any(field.strip() for field in fields):
            continue
        if len(fields) != len(header):
            message = f"the line has another number of fields ({len(fields)}) than the header ({len(header)})"
            raise InputError(f"{source}:{number}: {message}")
        yield number, {name: field.strip() for name, field in zip(header, fields, strict=True) if name}
