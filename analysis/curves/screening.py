"""Runs that are set aside by name before anything is averaged: those that diverged or never began to learn.

Such a run is at chance among others of its curve that are not. Whether chance is where it belongs, because speech is
not heard yet at its budget, or whether it failed, is judged by the other runs: they are taken without all runs at
chance, and the run is set aside where they leave it less than one chance in a thousand.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from analysis.curves.data_checks import AT_CHANCE
from analysis.curves.observations import base_prior, is_error_rate, observations
from analysis.forecasting.evidence import Evidence
from analysis.forecasting.posterior import Posterior
from analysis.forecasting.predictive import Predictive
from analysis.tables.points import FLOPS, Point, points_of, run_error
from analysis.tables.table import Table

IMPLAUSIBLE = 1e-3
"""The probability below which a run at chance is taken for a failed one (assumption)."""


def failed_runs(table: Table) -> list[int]:
    """The rows of runs that are at chance where the other runs of their curve say that they should not be."""
    points, _ = points_of(table)
    if not points or not is_error_rate(table, points):
        return []
    curves = (list(group) for _, group in groupby(points, key=lambda point: point.curve))
    return sorted(i for curve in curves for i in _failed(table, curve))


def _failed(table: Table, points: Sequence[Point]) -> list[int]:
    chance = {i: AT_CHANCE * point.chance for point in points for i in point.rows}
    suspects = [i for i, least in chance.items() if run_error(table, i) >= least]
    others = [replace(point, rows=rows) for point in points if (rows := tuple(set(point.rows) - {*suspects}))]
    if not suspects or len(others) < 2:
        return []
    seen = observations(table, others, rates=True)
    posterior = Posterior(Evidence(seen.runs), base_prior(table, rates=True))
    flops_Q = np.array([table.number(i, FLOPS) for i in suspects])
    expected = Predictive(seen.runs, posterior.components()).predict(flops_Q, new_run=True)
    plausible_Q = 1.0 - expected.share_below(np.full(len(suspects), np.log(AT_CHANCE))) >= IMPLAUSIBLE
    return [i for i, plausible in zip(suspects, plausible_Q, strict=True) if not plausible]
