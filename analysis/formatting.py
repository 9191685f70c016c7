"""Numbers and intervals as people read them: in a terminal, or typeset for a page (`typeset=True`)."""

import math
import re
from collections.abc import Sequence

from scaling.system.console import JOIN

NARROW_SPACE = "\u202f"
EN_DASH, MINUS = "\u2013", "\u2212"

Interval = tuple[float, float]
"""Lower and upper end."""


def number(value: float | None, digits: int = 4, *, typeset: bool = False) -> str:
    """A number with a few significant digits; a dash where there is none.

    >>> number(3.2e12), number(0.070991), number(None)
    ('3.2e+12', '0.07099', '-')
    >>> number(3.2e12, 3, typeset=True), number(None, typeset=True)
    ('3.2e12', '\u2013')
    """
    if value is None or math.isnan(value):
        return EN_DASH if typeset else "-"
    text = f"{value:.{digits}g}"
    return re.sub(r"e\+?(-?)0?", r"e\1", text) if typeset else text


def percent(value: float | None, *, typeset: bool = False) -> str:
    """A share in percent; a dash where there is none, words where it is infinite.

    >>> percent(0.375), percent(-7.4), percent(-math.inf)
    ('37.5%', '-740.0%', 'no bound')
    >>> percent(0.375, typeset=True).split(NARROW_SPACE), percent(-7.4, typeset=True).split(NARROW_SPACE)
    (['37.5', '%'], ['\u2212740', '%'])
    """
    if value is None or math.isnan(value):
        return number(None, typeset=typeset)
    if math.isinf(value):
        return "no bound"
    return f"{_hundredths(value)}{NARROW_SPACE}%" if typeset else f"{100.0 * value:.1f}%"


def between(ends: Interval | None, *, as_percent: bool = False, typeset: bool = False) -> str:
    """An interval of values, or of shares in percent.

    >>> between((1.0, 2.0)), between((0.1, 0.2), as_percent=True), between(None)
    ('[1, 2]', '[10.0%, 20.0%]', '-')
    >>> between((1.0, math.inf))
    '[1, no bound]'
    >>> between((1.0, 2.0), typeset=True), between((1.0, math.inf), typeset=True), between(None, typeset=True)
    ('1 to 2', 'above 1', 'not known')
    >>> between((-0.21, 0.08), as_percent=True, typeset=True).replace(NARROW_SPACE, " ")
    '\u221221.0 to 8.0 %'
    """
    if ends is None:
        return "not known" if typeset else "-"
    low, high = ends
    if not typeset:
        show = percent if as_percent else number
        return f"[{show(low)}, {'no bound' if math.isinf(high) else show(high)}]"
    if as_percent:
        high_text = percent(high, typeset=True)
        return f"below {high_text}" if math.isinf(low) else f"{_hundredths(low)} to {high_text}"
    low_text = number(low, 3, typeset=True)
    return f"{low_text} to {number(high, 3, typeset=True)}" if math.isfinite(high) else f"above {low_text}"


def listed(items: Sequence[str]) -> str:
    """Items in words.

    >>> listed(["a", "b", "c"]), listed(["a"])
    ('a, b and c', 'a')
    """
    return f"{', '.join(items[:-1])} and {items[-1]}" if len(items) > 1 else "".join(items)


def counted(count: int, noun: str) -> str:
    """A number of things.

    >>> counted(1, "run"), counted(2, "run")
    ('1 run', '2 runs')
    """
    return f"{count} {noun}{'s' * (count != 1)}"


def label_cell(label: str) -> str:
    """The label of a curve, for a cell that is wrapped before its models or after the plus."""
    return label.replace(" + ", f"{JOIN}+ ")


def interval_cell(interval: Interval | None, *, as_percent: bool = False) -> str:
    """An interval, for a cell that keeps it on one line."""
    return between(interval, as_percent=as_percent).replace(" ", JOIN)


def share_cell(share: float | None, interval: Interval | None) -> str:
    """A share in percent and its interval, which a cell keeps on one line."""
    return f"{percent(share)} {interval_cell(interval, as_percent=True)}"


def _hundredths(share: float) -> str:
    """A share in percent without its sign: one decimal below 100 %, none up to 10,000 %, two digits beyond."""
    digits = 1 if abs(share) < 1.0 else 0
    text = f"{100.0 * share:.{digits}f}" if abs(share) < 100.0 else number(100.0 * share, 2, typeset=True)
    return text.replace("-", MINUS)
