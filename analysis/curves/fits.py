"""Fits: the curves of a table together with its rows, which answers on hours, stages and seeds need."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from analysis.curves.curves import Curve, Curves
from analysis.tables.choice import Choice
from analysis.tables.seed_averaged_points import curve_identity
from analysis.tables.table import Row, Table
from analysis.tables.understanding.column_names import error_name
from analysis.tables.usable_rows import ERROR


@dataclass(frozen=True, kw_only=True)
class Fits:
    """The curves of a table. `read` reads it when it is first needed, which stored fits seldom do."""

    curves: Curves
    read: Callable[[], Table]

    @cached_property
    def table(self) -> Table:
        """The rows that the curves were fitted to, and those that were left out."""
        return self.read()

    @property
    def error_name(self) -> str:
        """What answers call the error: by the column that it came from."""
        return error_name(self.curves.named.get(ERROR, ERROR))

    def of(self, choice: Choice, baseline: str | None = None) -> "Fits":
        """The fits of the strategy, encoder and LLM chosen, and those of the strategy `baseline` with these models.

        Fits do not change: a curve has learnt from its neighbours whether or not these are asked about. Raises
        InputError for a name that no curve has.
        """
        wanted = self.curves.of(choice.strategy, choice.encoder, choice.llm)
        if baseline is not None and choice.strategy is not None:
            wanted += self.curves.of(baseline, choice.encoder, choice.llm)
        curves = tuple(curve for curve in self.curves.curves if any(curve is one for one in wanted))
        if len(curves) == len(self.curves.curves):
            return self

        def rows() -> Table:
            return self.table.select([i for i, row in enumerate(self.table.rows) if _is_on_one(row, curves)])

        return Fits(curves=replace(self.curves, curves=curves), read=rows)


def _is_on_one(row: Row, curves: Sequence[Curve]) -> bool:
    """Whether a run is of one of the curves; a curve of a law that spans models holds all models."""
    strategy, encoder, llm = curve_identity(row)
    return any(
        curve.strategy == strategy and curve.encoder in (None, encoder) and curve.llm in (None, llm) for curve in curves
    )
