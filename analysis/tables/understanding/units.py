"""In which unit a column of numbers stands: errors as fractions or in percent, FLOPs or a thousand million of them."""

import math
import shlex
import statistics
from collections.abc import Sequence

from analysis.tables.understanding.column_names import ColumnCandidate
from analysis.tables.understanding.values import Numbers

LEAST = {"flops": 1e6, "N": 1e4, "D": 1e4}
"""Training runs have more FLOPs, parameters and tokens than this: smaller numbers are written in a unit that the table
does not name (assumptions).
"""

LARGEST_FRACTION, SMALLEST_PERCENT = 2.0, 10.0
"""Insertions raise error rates above 1. A table with the median below 1 and nothing above the first holds fractions;
one with the median above the first and something above the second holds percentages (assumptions).
"""


class DoubtError(ValueError):
    """A column that could mean two things: the message says which, and how to say what is meant."""


def scale_of_errors(named: ColumnCandidate, numbers: Numbers, counted: Sequence[bool]) -> tuple[float, str | None]:
    """What errors are multiplied by to become fractions, and how that is said; a loss stays as it is.

    `counted` tells the rows whose values decide. Raises DoubtError where the values could be either.
    """
    given = [i for i, value in enumerate(numbers.values) if value is not None and math.isfinite(value)]
    signs = [numbers.percent[i] for i in given if numbers.values[i] != 0.0]
    if any(signs) and not all(signs):
        raise DoubtError(f"column {named.name!r} has values with a percent sign and values without one")
    if any(signs) or named.percent:
        return 0.01, "percent, divided by 100"
    values = [value for i in given if counted[i] and (value := numbers.values[i]) is not None]
    if named.loss or not values or max(values) <= 1.0:
        return 1.0, None
    middle, largest = statistics.median(values), max(values)
    if min(values) > 1.0 and largest > LARGEST_FRACTION:
        return 0.01, f"percent by its values ({min(values):g} to {largest:g}), divided by 100"
    if middle > LARGEST_FRACTION and largest > SMALLEST_PERCENT:
        return 0.01, f"percent by its values ({min(values):g} to {largest:g}), divided by 100"
    if middle <= 1.0 and largest <= LARGEST_FRACTION:
        return 1.0, None
    span = f"values from {min(values):g} to {largest:g}, which could be percentages or fractions"
    ways = " or ".join(columns_option("y", named.name, unit) for unit in ("percent", "fraction"))
    raise DoubtError(f"column {named.name!r} has {span}: say {ways}")


def check_size(column: str, option: str, named: ColumnCandidate, numbers: Numbers) -> None:
    """Raise DoubtError where no value is as large as training runs have them, see `LEAST`."""
    largest = max(numbers.given, default=0.0) * named.factor
    if 0.0 < largest < LEAST.get(column, 0.0):
        units = ("EFLOPs", "GFLOPs, TFLOPs, PFLOPs and ZFLOPs") if column == "flops" else ("M", "k, B and T")
        raise DoubtError(
            f"column {named.name!r} has values up to {largest:g}: in which unit? Say "
            f"{columns_option(option, named.name, units[0])}, or another of {units[1]}; log10 or ln where they are "
            "logarithms"
        )


BASES = {"log10": 10.0, "lg": 10.0, "ln": math.e}
"""The bases of logarithms, by what may be said of a column that holds them."""


def base_of(option: str, named: ColumnCandidate) -> float | None:
    """The base of a column's logarithms; None for no logarithms. Raises DoubtError where its name leaves it open."""
    kind = named.unit or named.logarithm
    if kind == "log":
        ways = " or ".join(columns_option(option, named.name, unit) for unit in ("log10", "ln"))
        raise DoubtError(f"column {named.name!r} has logarithms: of base 10 or e? Say {ways}")
    return BASES.get(kind or "")


def columns_option(option: str, name: str, unit: str | None = None) -> str:
    """What names a column on a command line: quoted where the shell needs it.

    >>> columns_option("y", "eval/cer"), columns_option("y", "WER (%)", "percent")
    ('--columns y=eval/cer', "--columns 'y=WER (%):percent'")
    """
    return f"--columns {shlex.quote(f'{option}={name}' + (f':{unit}' if unit else ''))}"
