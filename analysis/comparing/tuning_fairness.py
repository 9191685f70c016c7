"""Whether both sides of a comparison were tuned alike: a tuned strategy beats an untuned one by its tuning alone."""

from analysis.curves.curves import Curve
from analysis.notes import Note
from analysis.tables.seed_averaged_points import points_of
from analysis.tables.table import Table

TUNING_FLOPS = "tuning_flops"
"""The column with the FLOPs of the search for a run's learning rates."""
BATCH_AT_EDGE = "batch_at_grid_edge"
"""A column that only rows whose batch size was searched fill in."""

Search = tuple[float, bool]
"""FLOPs of the search for learning rates, 0 without a search, and whether the batch size was searched as well."""


def unequal_tuning(table: Table, curve: Curve, baseline: Curve) -> list[Note]:
    """A note where the search for rates cost two curves unlike amounts, or only one side searched the batch, too."""
    searches, baseline_searches = _searches(table, curve), _searches(table, baseline)
    if searches == baseline_searches:
        return []
    message = f"{curve.label} {_in_words(searches)}, but {baseline.label} {_in_words(baseline_searches)}."
    return [Note("unequal_tuning", message)]


def _searches(table: Table, curve: Curve) -> frozenset[Search]:
    points, _ = points_of(table)
    rows = [table.rows[i] for point in points if point.curve == curve.identity for i in point.rows]
    return frozenset((float(row.get(TUNING_FLOPS) or 0.0), row.get(BATCH_AT_EDGE) not in (None, "")) for row in rows)


def _in_words(searches: frozenset[Search]) -> str:
    return " and ".join(
        f"was tuned with {flops:.3g} FLOPs{', batch and all' if batch else ''}" if flops else "was not tuned"
        for flops, batch in sorted(searches)
    )
