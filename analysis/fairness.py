"""Whether both sides of a comparison were tuned alike: a tuned strategy beats an untuned one by its tuning alone."""

from analysis.cells import cells_of
from analysis.curves import Curve
from analysis.notes import Note
from analysis.table import Table

TUNING_FLOPS = "tuning_flops"


def unequal_tuning(table: Table, curve: Curve, baseline: Curve) -> list[Note]:
    """A note where the search for their learning rates cost the runs of two curves unlike amounts."""
    ours, theirs = (_tuning_flops(table, side) for side in (curve, baseline))
    if ours == theirs:
        return []
    said = f"{curve.label} {_words(ours)}, {baseline.label} {_words(theirs)}"
    return [Note("unequal_tuning", f"{said}: tune all strategies alike before their gain is believed")]


def _tuning_flops(table: Table, curve: Curve) -> frozenset[float]:
    """What the runs of the curve say; 0 where they say nothing."""
    cells, _ = cells_of(table)
    rows = [table.rows[i] for cell in cells if cell.curve == curve.identity for i in cell.rows]
    return frozenset(float(row.get(TUNING_FLOPS) or 0.0) for row in rows)


def _words(flops: frozenset[float]) -> str:
    return " and ".join(f"was tuned with {value:.3g} FLOPs" if value else "was not tuned" for value in sorted(flops))
