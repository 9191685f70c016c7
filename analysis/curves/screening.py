"""Runs that are set aside by name before anything is averaged: those that failed, and those that do not hear yet.

A failed run (diverged, or never begun to learn) is at chance among others of its curve that are not. Whether chance is
where it belongs, because its budget is too small, is judged by the other runs: they are taken without all runs at
chance, and the run is set aside where they leave it less than one chance in a thousand.

A run that does not hear (column `hears`, false) writes text that does not follow the speech, and its error rate is not
on the curve of those that do. It is set aside where at least two budgets of its curve hear.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from analysis.curves.data_checks import AT_CHANCE
from analysis.curves.forecasting_input import base_prior, forecasting_input, is_error_rate
from analysis.forecasting.evidence import Evidence
from analysis.forecasting.posterior import Posterior
from analysis.forecasting.predictive import Predictive
from analysis.tables.seed_averaged_points import Point, points_of, run_error
from analysis.tables.table import Row, Table
from analysis.tables.usable_rows import FLOPS

FEWEST_BUDGETS = 2
"""Fewer budgets than this cannot show that the error falls."""
IMPLAUSIBLE = 1e-3
"""The probability below which a run at chance is taken for a failed one (assumption)."""


FAILED = "are at chance, where the others of their curve are not,"
DEAF = "do not hear the speech yet"
"""Why a run is set aside."""


def set_aside(table: Table) -> dict[int, str]:
    """The rows of runs that are not on the curve of the others, and why."""
    points, _ = points_of(table)
    if not points or not is_error_rate(table, points):
        return {}
    curves = [list(group) for _, group in groupby(points, key=lambda point: point.curve)]
    deaf = {i: DEAF for curve in curves for i in _deaf(table, curve)}
    hearing = [without(curve, deaf) for curve in curves]
    return deaf | {i: FAILED for curve in hearing for i in _failed(table, curve)}


def is_deaf(row: Row) -> bool:
    """Whether a run was found not to hear the speech."""
    return str(row.get("hears")).lower() == "false"


def without(points: Sequence[Point], rows: Collection[int]) -> list[Point]:
    """The points with these rows taken out. Their rows alone are right; means are still those of all runs."""
    return [replace(point, rows=kept) for point in points if (kept := tuple(i for i in point.rows if i not in rows))]


def _deaf(table: Table, points: Sequence[Point]) -> list[int]:
    deaf = [i for point in points for i in point.rows if is_deaf(table.rows[i])]
    return deaf if len(without(points, deaf)) >= FEWEST_BUDGETS else []


def _failed(table: Table, points: Sequence[Point]) -> list[int]:
    chance = {i: AT_CHANCE * point.chance for point in points for i in point.rows}
    suspects = [i for i, least in chance.items() if run_error(table, i) >= least]
    others = without(points, suspects)
    if not suspects or len(others) < FEWEST_BUDGETS:
        return []
    of_others = forecasting_input(table, others, rates=True)
    posterior = Posterior(Evidence(of_others.runs), base_prior(table, rates=True))
    flops_Q = np.array([table.number(i, FLOPS) for i in suspects])
    expected = Predictive(of_others.runs, posterior.components()).predict(flops_Q, new_run=True)
    plausible_Q = 1.0 - expected.share_below(np.full(len(suspects), np.log(AT_CHANCE))) >= IMPLAUSIBLE
    return [i for i, plausible in zip(suspects, plausible_Q, strict=True) if not plausible]
