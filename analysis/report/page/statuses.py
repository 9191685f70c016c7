"""What each status of a fit means, in the words of the page."""

from analysis.notes import Status

STATUSES: dict[Status, str] = {
    "ok": "identified",
    "at_bound": "at a bound",
    "not_identified": "not identified",
    "too_few_points": "too few budgets",
    "not_converged": "search stopped early",
}
