"""What each status of a fit means, in the words of the page."""

from analysis.notes import Status

STATUSES: dict[Status, str] = {
    "ok": "identified",
    "at_bound": "no floor seen",
    "not_identified": "not determined",
    "too_few_points": "too few budgets",
    "not_converged": "search stopped early",
}
