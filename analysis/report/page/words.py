"""Numbers and statuses as a report words them."""

import math

from analysis.notes import Status

NARROW_SPACE = "\u202f"
STATUS = {
    "ok": "identified",
    "at_bound": "at a bound",
    "not_identified": "not identified",
    "too_few_points": "too few budgets",
    "not_converged": "search stopped early",
}
"""What each status of a fit means."""


def status_text(status: Status) -> str:
    """A status in words."""
    return STATUS[status]


def number(value: float | None, digits: int = 3) -> str:
    """A number with a few significant digits, 3.2e12 where it is large; a dash where there is none.

    >>> number(3.2e12), number(0.070991), number(None)
    ('3.2e12', '0.071', '\u2013')
    """
    if value is None or math.isnan(value):
        return "\u2013"
    return f"{value:.{digits}g}".replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")


def percent(value: float | None) -> str:
    """A share in percent; a dash where there is none.

    >>> percent(0.375).split(NARROW_SPACE), percent(-7.4).split(NARROW_SPACE)
    (['37.5', '%'], ['\u2212740', '%'])
    """
    return "\u2013" if value is None or math.isnan(value) else f"{_hundredths(value)}{NARROW_SPACE}%"


def between(ends: tuple[float, float] | None) -> str:
    """An interval of errors or FLOPs."""
    if ends is None:
        return "not known"
    low, high = ends
    return f"{number(low)} to {number(high)}" if math.isfinite(high) else f"above {number(low)}"


def percent_between(ends: tuple[float, float] | None) -> str:
    """An interval of shares.

    >>> percent_between((-0.21, 0.08)).replace(NARROW_SPACE, " "), percent_between(None)
    ('\u221221.0 to 8.0 %', 'not known')
    """
    if ends is None:
        return "not known"
    low, high = ends
    return f"below {percent(high)}" if math.isinf(low) else f"{_hundredths(low)} to {percent(high)}"


def times(ratio: float) -> str:
    """How far an answer lies beyond the runs, in words. A budget is met within one step: half a percent is none."""
    return "within the runs" if ratio <= 1.005 else f"{number(ratio, 2)} times the largest run"


def _hundredths(share: float) -> str:
    digits = 1 if abs(share) < 1.0 else 0
    text = f"{100.0 * share:.{digits}f}" if abs(share) < 100.0 else number(100.0 * share, 2)
    return text.replace("-", "\u2212")
