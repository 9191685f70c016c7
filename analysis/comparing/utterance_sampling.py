"""What another test of the same kind would do to a comparison.

The sampling of the test set is common to all runs, so it does not blur a comparison on *this* test. For another test,
speakers (or utterances without a speaker) are drawn again, jointly for all runs; every point's error is computed again
and both laws are refitted.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import ConfigDict

from analysis.curves.curves import Curve
from analysis.fitting.fit import Fit
from analysis.fitting.laws import Array
from analysis.fitting.minimiser import minimise
from analysis.tables.seed_averaged_points import Point
from analysis.tables.table import Table
from scaling.ledger.record import Count, Record
from scaling.system.json_files import read_record_lines


class _Utterance(Record):
    """The part of a line that is needed."""

    model_config = ConfigDict(extra="ignore")

    test: str
    id: str
    speaker: str | None = None
    errors: Count
    ref_chars: Count


UTTERANCES = "utterances"
"""The folder beside a table of runs that holds the errors of each utterance, one file a run."""
DRAWS = 200
"""Test sets drawn: the standard deviation of their results is then known to 5 %."""


def sampling_error(
    table: Table,
    sides: tuple[tuple[Curve, tuple[Point, ...]], tuple[Curve, tuple[Point, ...]]],
    flops: float,
    seed: int = 0,
) -> float | None:
    """The standard deviation of log(error of the first / error of the second) at `flops` over tests of the same kind.

    None where the errors of the utterances were not kept, or where a side has no fit or one that set points aside.
    """
    keys = {table.rows[i].get("key") for _, points in sides for point in points for i in point.rows}
    if not all(isinstance(key, str) and "/" not in key for key in keys):  # what names no file of the folder
        return None
    files = {str(key): table.path.parent / UTTERANCES / f"{key}.jsonl" for key in keys}
    if not all(file.exists() for file in files.values()):
        return None
    errors, lengths = _counts(files)
    equal_chances = np.full(lengths.size, 1.0 / lengths.size)
    weights = np.random.default_rng(seed).multinomial(lengths.size, equal_chances, DRAWS).astype(float)
    logs = []
    for curve, points in sides:
        if curve.fit is None or curve.fit.excluded:
            return None
        drawn = np.stack([_point_errors(table, point, errors, lengths, weights) for point in points], axis=1)
        logs.append(_refitted_logs(curve.fit, drawn, flops))
    return float(np.std(logs[0] - logs[1]))


def _counts(files: Mapping[str, Path]) -> tuple[dict[str, Array], Array]:
    """Errors of each run (s,) by key, and reference characters (s,), by speaker; without a name it is its own."""
    lengths: dict[str, float] = {}
    errors: dict[str, dict[str, float]] = {}
    for key, file in files.items():
        counted: dict[str, float] = defaultdict(float)
        spoken: dict[str, float] = defaultdict(float)
        for row in read_record_lines(_Utterance, file):
            unit = f"{row.test}/{row.speaker or row.id}"
            counted[unit] += row.errors
            spoken[unit] += row.ref_chars
        errors[key] = counted
        lengths.update(spoken)
    units = sorted(lengths)
    return (
        {key: np.array([counted.get(unit, 0.0) for unit in units]) for key, counted in errors.items()},
        np.array([lengths[unit] for unit in units]),
    )


def _point_errors(table: Table, point: Point, errors: Mapping[str, Array], lengths: Array, weights: Array) -> Array:
    """The point's error (d,) on each test set drawn, its seeds averaged."""
    mean = np.mean([errors[str(table.rows[i].get("key"))] for i in point.rows], axis=0)
    drawn: Array = np.maximum(weights @ mean, 0.5) / (weights @ lengths)
    return drawn


def _refitted_logs(fitted: Fit, drawn: Array, flops: float) -> Array:
    """The log of the curve (d,) at `flops` after refits to `drawn` errors (d, n)."""
    problems = replace(fitted.problem, y=drawn)
    reached = minimise(problems, np.repeat(fitted.parameters[None, :], len(drawn), 0), max_steps=60, tolerance=1e-7)
    value, _ = fitted.law.evaluate(fitted.logs({"C": [flops]}), reached.parameters)
    logs: Array = np.log(value[:, 0])
    return logs
