"""Whether both sides of a comparison were tuned alike: a tuned strategy beats an untuned one by its tuning alone."""

from analysis.curves.curves import Curve
from analysis.notes import Note
from analysis.tables.points import points_of
from analysis.tables.table import Table

TUNING_FLOPS = "tuning_flops"
BATCH_AT_EDGE = "batch_at_grid_edge"
"""Said by rows whose batch was searched, and by no others."""


def unequal_tuning(table: Table, curve: Curve, baseline: Curve) -> list[Note]:
    """A note where the search for their rates cost the runs of two curves unlike amounts, or one for the batch as well
    stands against one without.
    """
    ours, theirs = (_tuning(table, side) for side in (curve, baseline))
    if ours == theirs:
        return []
    said = f"{curve.label} {_words(ours)}, {baseline.label} {_words(theirs)}"
    return [Note("unequal_tuning", f"{said}: tune all strategies alike before their gain is believed")]


def _tuning(table: Table, curve: Curve) -> frozenset[tuple[float, bool]]:
    """FLOPs of their search and whether it was for the batch as well, as the runs of the curve say; 0 FLOPs where they
    say nothing.
    """
    points, _ = points_of(table)
    rows = [table.rows[i] for point in points if point.curve == curve.identity for i in point.rows]
    return frozenset((float(row.get(TUNING_FLOPS) or 0.0), row.get(BATCH_AT_EDGE) not in (None, "")) for row in rows)


def _words(searches: frozenset[tuple[float, bool]]) -> str:
    said = (
        f"was tuned with {flops:.3g} FLOPs{', batch and all' if batch else ''}" if flops else "was not tuned"
        for flops, batch in sorted(searches)
    )
    return " and ".join(said)
