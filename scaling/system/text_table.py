"""Tables of text that fit the terminal.

Cells are measured by rich and wrapped by `textwrap`. `rich.table` is not used: 5,000 rows take it .75 s, and .04 s here
(measured), and its import costs every verb 40 to 70 ms.
"""

import textwrap
from collections.abc import Sequence

from scaling.system.console import JOIN, known_width, one_line

USUAL_WIDTH = 80
"""The columns of a table where no width is known."""

GAP = "  "
"""What stands between two columns."""


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as lines of text, its columns left-aligned.

    Where it is wider than the terminal, or than `USUAL_WIDTH` in a pipe, the cells of its widest columns are wrapped
    between words, but never at a `JOIN`, which is written as a space. Line ends in a cell are escapes.
    """
    from rich.cells import cell_len

    cells = [[one_line(cell) for cell in row] for row in (header, *rows)]
    columns = list(zip(*cells, strict=True))
    widths = [max(map(cell_len, column)) for column in columns]
    least = [max(cell_len(word) for cell in column for word in cell.split(" ")) for column in columns]
    room = (known_width() or USUAL_WIDTH) - len(GAP) * (len(widths) - 1)
    while sum(widths) > room and (wide := [k for k, width in enumerate(widths) if width > least[k]]):
        widths[max(wide, key=lambda k: widths[k])] -= 1
    return "\n".join(line for row in cells for line in _lines(row, widths)).replace(JOIN, " ")


def _lines(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    """A row as the lines that its wrapped cells need."""
    from rich.cells import cell_len

    columns = [_wrapped(cell, width) for cell, width in zip(row, widths, strict=True)]
    lines = []
    for i in range(max(map(len, columns))):
        parts = [column[i] if i < len(column) else "" for column in columns]
        padded = (part + " " * (width - cell_len(part)) for part, width in zip(parts, widths, strict=True))
        lines.append(GAP.join(padded).rstrip())
    return lines


def _wrapped(cell: str, width: int) -> list[str]:
    if len(cell) <= width:
        return [cell]
    return textwrap.wrap(cell, width, break_long_words=False, break_on_hyphens=False)
