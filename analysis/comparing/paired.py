"""What two strategies share: seeds (the same luck of order and initialisation) and the utterances of the test.

The sampling of the test set is common to all runs. It does not blur a comparison on *this* test; for another test of
the same kind it is carried by one joint resample of speakers (or utterances) across all runs, every point's error
computed again and both laws refitted.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from analysis.curves.curves import Curve
from analysis.fitting.fit import Fit
from analysis.fitting.laws import Array
from analysis.fitting.minimiser import minimise
from analysis.tables.points import ERROR, Point
from analysis.tables.table import Table
from scaling.system.json_files import read_json_lines

UTTERANCES = "utterances"
# Fewer pairs than this say nothing about a correlation.
FEWEST_PAIRS = 6
DRAWS = 200


def correlation(table: Table, first: tuple[Point, ...], second: tuple[Point, ...], fits: tuple[Fit, Fit]) -> float:
    """The correlation of run residuals of equal budget and seed, shrunk by (pairs - 2) / (pairs + 2); 0 where pairs are
    few or it is negative (a negative one would be chance).
    """
    ours, theirs = (_residuals(table, points, one) for points, one in zip((first, second), fits, strict=True))
    common = sorted(set(ours) & set(theirs))
    if len(common) < FEWEST_PAIRS:
        return 0.0
    x, y = (np.array([side[key] for key in common]) for side in (ours, theirs))
    if x.std() == 0.0 or y.std() == 0.0:
        return 0.0
    raw = float(np.corrcoef(x, y)[0, 1])
    return max(0.0, raw) * (len(common) - 2) / (len(common) + 2)


def sampling_error(
    table: Table,
    sides: tuple[tuple[Curve, tuple[Point, ...]], tuple[Curve, tuple[Point, ...]]],
    flops: float,
    seed: int = 0,
) -> float | None:
    """The standard deviation of log(error / error of the other) at `flops` over tests of the same kind; None where the
    errors of the utterances were not kept.
    """
    keys = {table.rows[i].get("key") for _, points in sides for point in points for i in point.rows}
    files = {str(key): table.path.parent / UTTERANCES / f"{key}.jsonl" for key in keys}
    if not all(file.exists() for file in files.values()):
        return None
    errors, lengths = _counts(files)
    even = np.full(lengths.size, 1.0 / lengths.size)
    weights = np.random.default_rng(seed).multinomial(lengths.size, even, DRAWS).astype(float)
    logs = []
    for curve, points in sides:
        if curve.fit is None or curve.fit.excluded:
            return None
        drawn = np.stack([_point_errors(table, point, errors, lengths, weights) for point in points], axis=1)
        logs.append(_refitted_logs(curve.fit, drawn, flops))
    return float(np.std(logs[0] - logs[1]))


def _residuals(table: Table, points: tuple[Point, ...], fitted: Fit) -> dict[tuple[float, str], float]:
    found = {}
    for point in points:
        curve = math.log(float(fitted.predict({"C": [point.flops]})[0]))
        for i in point.rows:
            seed, error = table.rows[i].get("seed"), table.number(i, ERROR)
            if seed is not None and error > 0.0:
                budget = table.number(i, "budget_flops")
                found[point.flops if math.isnan(budget) else budget, str(seed)] = math.log(error) - curve
    return found


def _counts(files: Mapping[str, Path]) -> tuple[dict[str, Array], Array]:
    """Errors by speaker for each run, and reference characters by speaker; utterances without a speaker are their
    own.
    """
    lengths: dict[str, float] = {}
    errors: dict[str, dict[str, float]] = {}
    for key, file in files.items():
        counted: dict[str, float] = defaultdict(float)
        spoken: dict[str, float] = defaultdict(float)
        for _, row in read_json_lines(file):
            unit = f"{row['test']}/{row.get('speaker') or row['id']}"
            counted[unit] += row["errors"]
            spoken[unit] += row["ref_chars"]
        errors[key] = counted
        lengths.update(spoken)
    units = sorted(lengths)
    return (
        {key: np.array([counted.get(unit, 0.0) for unit in units]) for key, counted in errors.items()},
        np.array([lengths[unit] for unit in units]),
    )


def _point_errors(table: Table, point: Point, errors: Mapping[str, Array], lengths: Array, weights: Array) -> Array:
    mean = np.mean([errors[str(table.rows[i].get("key"))] for i in point.rows], axis=0)
    drawn: Array = np.maximum(weights @ mean, 0.5) / (weights @ lengths)
    return drawn


def _refitted_logs(fitted: Fit, drawn: Array, flops: float) -> Array:
    lanes = replace(fitted.problem, y=drawn)
    reached = minimise(lanes, np.repeat(fitted.parameters[None, :], len(drawn), 0), max_steps=60, tolerance=1e-7)
    value, _ = fitted.law.evaluate(fitted.logs({"C": [flops]}), reached.parameters)
    logs: Array = np.log(value[:, 0])
    return logs
