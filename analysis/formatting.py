"""Numbers and tables as people read them in a terminal."""

import math
from collections.abc import Sequence


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of text, left-aligned."""
    table = [list(header), *map(list, rows)]
    widths = [max(len(row[j]) for row in table) for j in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table
    )


def number(value: float | None, digits: int = 4) -> str:
    """A number with a few significant digits; a dash where there is none."""
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}g}"


def percent(value: float | None) -> str:
    """A share as a percentage; a dash where there is none, words where there is no bound."""
    if value is None or math.isnan(value):
        return "-"
    return f"{100.0 * value:.1f}%" if math.isfinite(value) else "no bound"


def between(ends: tuple[float, float] | None, *, as_percent: bool = False) -> str:
    """An interval."""
    if ends is None:
        return "-"
    show = percent if as_percent else number
    return f"[{show(ends[0])}, {show(ends[1])}]"


def bullets(lines: Sequence[str]) -> str:
    """Warnings below an answer, each on its line; nothing where there are none."""
    return "".join(f"\n  ! {line}" for line in lines)
