"""The runs of a curve as the forecasting package takes them: errors as shares of chance, counting noise, trunks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.curves.data_checks import NO_FRACTION
from analysis.curves.trunk_variance import CLUSTER
from analysis.forecasting.evidence import CurveRuns, neighbours
from analysis.forecasting.law_grid import Array
from analysis.forecasting.prior import ONE_TRAINING, SEPARATE_RUNS, Prior
from analysis.notes import Note
from analysis.tables.seed_averaged_points import Point, run_error
from analysis.tables.table import Table
from analysis.tables.usable_rows import ERROR, FLOPS

LOSS_WORDS = ("loss", "nll", "nats", "bits", "entropy", "perplexity", "ppl")
"""Words in the name of an error column that tell a loss, which has no error of chance."""
LARGEST_SHARE = 0.5
"""Losses are scaled so that the largest is this share; for the laws that know no chance a unit changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastingInput:
    """One curve's runs, unit of errors, length of the test, and passes over the audio (None where not recorded)."""

    runs: CurveRuns
    scale: float
    ref_chars: float | None
    passes: float | None


def forecasting_input(table: Table, points: Sequence[Point], rates: bool) -> ForecastingInput:
    """The runs of the points of one curve; `rates` as `is_error_rate` says of the whole table."""
    rows = sorted((i for point in points for i in point.rows), key=lambda i: table.number(i, FLOPS))
    errors_N = np.array([run_error(table, i) for i in rows])
    chars_N = np.array([table.number(i, "ref_chars") for i in rows])
    known_N = np.isfinite(chars_N) & (chars_N > 0.0)
    counts_N = np.maximum(errors_N * np.where(known_N, chars_N, 1.0), 0.5)
    chance = float(np.mean([point.chance for point in points]))
    scale = chance if rates else float(errors_N.max()) / LARGEST_SHARE
    flops_N = np.array([table.number(i, FLOPS) for i in rows])
    runs = CurveRuns(
        flops_N=flops_N,
        errors_N=errors_N / scale,
        counting_variance_N=np.where(known_N, 1.0 / counts_N, 0.0),
        trunks_N=_trunks(table, rows, flops_N),
    )
    passes = table.number(rows[-1], "epochs")
    return ForecastingInput(
        runs=runs,
        scale=scale,
        ref_chars=float(np.median(chars_N)) if known_N.all() else None,
        passes=passes if passes > 0.0 else None,
    )


def is_error_rate(table: Table, points: Sequence[Point]) -> bool:
    """Whether the errors of a table are rates with an error of chance, and not losses or percentages."""
    name, errors = table.named.get(ERROR, "").lower(), [point.cer for point in points]
    lossy = any(word in name for word in LOSS_WORDS)
    return not lossy and min(errors) <= 1.0 and float(np.median(errors)) <= NO_FRACTION


def base_prior(table: Table, rates: bool) -> Prior:
    """The prior of a curve: that of separate runs where the table names seeds, else that of one training."""
    prior = SEPARATE_RUNS if _names_seeds(table) else ONE_TRAINING
    return prior if rates else prior.without_chance()


def seed_notes(table: Table, points: Sequence[Point]) -> list[Note]:
    """What the interval of one new run does not hold, or takes from elsewhere."""
    seeds = {table.rows[i].get("seed") for point in points for i in point.rows} - {None, ""}
    if not seeds:
        message = "The table names no seeds, so the answer is about this training going on, without variation of seeds."
        return [Note("no_seed_variation", message)]
    if len(seeds) == 1:
        message = "All runs have one seed, so how far seeds differ is taken from published small studies."
        return [Note("one_seed", message)]
    return []


def _names_seeds(table: Table) -> bool:
    return any(row.get("seed") not in (None, "") for row in table.rows)


def _trunks(table: Table, rows: Sequence[int], flops_N: Array) -> NDArray[np.int64] | None:
    """A number for the trunk of each run; None where no two runs share one.

    A table without seeds may hold checkpoints of one training: neighbours are then taken for cut from one trunk.
    """
    labels = [str(table.rows[i].get(CLUSTER) or f"row {i}") for i in rows]
    numbers = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    trunks_N = np.array([numbers[label] for label in labels]) if _names_seeds(table) else neighbours(flops_N)
    return None if len(np.unique(trunks_N)) == len(rows) else trunks_N
