"""The runs of a study that registered forecasts are held against: those of its table, and those in `forecast/`."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from analysis.curves.forecast_check import FORECAST_FOLDER
from analysis.tables.groups import EQUAL
from analysis.tables.seed_averaged_points import CurveIdentity, curve_identity, run_error
from analysis.tables.table import Table, read_table
from analysis.tables.usable_rows import FLOPS, usable_rows
from scaling.ledger.records import RUNS_FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredRun:
    """One run with a result: its curve, the FLOPs that it was planned with (`budget`) and charged (`flops`), its error.

    `finished` is in seconds since 1970, and `key` its identity; None where the table does not say.
    """

    place: str
    key: str | None
    curve: CurveIdentity
    seed: int | str | None
    budget: float
    flops: float
    cer: float
    finished: float | None

    def is_at(self, curve: CurveIdentity, flops: float) -> bool:
        """Whether it is a run of this curve at this budget, see `same_budget`."""
        return self.curve == curve and same_budget(self.budget, flops)


def same_budget(one: float, other: float) -> bool:
    """Whether two budgets count as one: runs meet their budget within a step, and people round.

    >>> same_budget(3.162e12, 3.16227766e12), same_budget(1e12, 2e12)
    (True, False)
    """
    return max(one, other) < EQUAL * min(one, other)


def measured_runs(folder: Path) -> list[MeasuredRun]:
    """Every run with a result in a study's table and in that of `folder`/forecast, where there is one.

    Runs that a fit would set aside as failed are among them: a forecast is of any run. Raises InputError where a table
    cannot be read.
    """
    beside = folder / FORECAST_FOLDER
    tables = [folder, beside] if (beside / RUNS_FILE).is_file() else [folder]
    runs = [run for table in tables for run in runs_of(read_table(table))]
    return list({run.key or run.place: run for run in runs}.values())


def runs_of(table: Table) -> Iterator[MeasuredRun]:
    """Every run of a table that has a result."""
    for i in usable_rows(table, (FLOPS,))[0]:
        row, flops, error = table.rows[i], table.number(i, FLOPS), run_error(table, i)
        budget, finished = table.number(i, "budget_flops"), table.number(i, "finished")
        if not math.isnan(error):
            yield MeasuredRun(
                place=table.place(i),
                key=row.get("key"),
                curve=curve_identity(row),
                seed=row.get("seed"),
                budget=flops if math.isnan(budget) else budget,
                flops=flops,
                cer=error,
                finished=None if math.isnan(finished) else finished,
            )
