"""How the page of the reference study writes numbers, intervals and tables."""

from collections.abc import Iterable, Sequence
from typing import Any

from analysis.formatting import number

Answers = dict[str, Any]
"""A part of answers.json."""
Ends = Sequence[float | None] | None
"""The ends of an interval; None for an end without a bound."""

NOT_YET = "not trained yet"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown."""
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]


def share(value: float | None, interval: Ends) -> str:
    """A share with its interval in percent: 12.0 % [3.1, 20.5]."""
    if interval is None:
        return "not known"
    low, high = ("no bound" if end is None else f"{100.0 * end:.1f}" for end in interval)
    return f"{'not reached' if value is None else f'{100.0 * value:.1f} %'} [{low}, {high}]"


def percent(value: float | None, digits: int = 1) -> str:
    """A share in percent: 9.7 %."""
    return "-" if value is None else f"{100.0 * value:.{digits}f} %"


def flops(value: float) -> str:
    """A number of FLOPs: 3.2e12."""
    return number(value, 3, typeset=True)


def pair(one: Answers) -> tuple[str, str, str]:
    """What tells places apart that stand on several axes: study and models."""
    return one["study"], one["encoder"], one["llm"]
