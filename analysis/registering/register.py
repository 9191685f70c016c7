"""Writing forecasts down: what the curves of a table say of budgets at which none of them has a run."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from analysis.curves.curves import Curve, Curves
from analysis.curves.fits_file import curves_of
from analysis.curves.predict import Prediction, predict
from analysis.notes import as_text
from analysis.registering.measured_runs import MeasuredRun, measured_runs, runs_of, same_budget
from analysis.registering.record import FORECASTS_FILE, SCHEMA, RegisteredForecast, append, locked, read_registered
from analysis.tables.table import file_sha256, read_table
from scaling.errors import InputError
from scaling.ledger.records import RUNS_FILE
from scaling.scoring.interval import LEVEL
from scaling.system.file_clock import file_time
from scaling.system.json_files import read_json_lines

LEVELS = (0.5, 0.8, LEVEL, 0.95)
"""Levels of the intervals whose ends are kept as quantiles: whether forecasts come true can be asked at each."""


def register(
    folder: Path,
    budgets: Sequence[float],
    strategy: str | None = None,
    encoder: str | None = None,
    llm: str | None = None,
) -> list[RegisteredForecast]:
    """Write down one forecast for each curve (with these names, where given) and budget, all of them or none.

    Raises InputError where a curve has a run at a budget already or no interval there, where the same was registered
    from the same table, and where the folder cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: not a folder; expected a study's folder with {RUNS_FILE}")
    curves, runs, in_table = curves_of(folder), measured_runs(folder), list(runs_of(read_table(folder)))
    chosen = curves.of(strategy, encoder, llm)
    _refuse_twice(budgets)
    for curve in chosen:
        for flops in budgets:
            _refuse_where_run(runs, curve, flops)
    predictions = [_prediction(curve, flops) for curve in chosen for flops in budgets]
    table = folder / RUNS_FILE
    largest = max(run.budget for run in in_table)
    digest = table_digest((row for _, row in read_json_lines(table)), largest)
    rests_on = {"digest": digest, "runs": len(in_table), "largest_budget_flops": largest}
    if file_sha256(table) != curves.source_sha256:
        raise InputError(f"{table}: changed while its curves were fitted; register again once no run is being trained")
    with locked(folder):
        for earlier in read_registered(folder):
            _refuse_again(folder, earlier, digest, predictions)
        time = datetime.fromtimestamp(round(file_time(folder), 3), UTC)
        forecasts = [_forecast(each, curves, time, rests_on) for each in predictions]
        append(folder, forecasts)
    return forecasts


def table_digest(rows: Iterable[Mapping[str, Any]], largest: float) -> str:
    """SHA-256, in hex, of the rows with budgets of up to `largest` as JSON, whatever their order and their fields'."""
    texts = (json.dumps(row, sort_keys=True) for row in rows if _budget(row) <= largest)
    lines = sorted(hashlib.sha256(text.encode()).hexdigest() for text in texts)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _budget(row: Mapping[str, Any]) -> float:
    """What a run was planned with, as `MeasuredRun.budget` has it; infinite where the row does not say."""
    value = row.get("budget_flops") or row.get("flops")
    return float(value) if isinstance(value, int | float) else math.inf


def _prediction(curve: Curve, flops: float) -> Prediction:
    prediction = predict(curve, flops)
    if prediction.cer is None or prediction.interval is None or prediction.curve_interval is None:
        raise InputError(
            f"{curve.label} at {flops:.4g} FLOPs: no interval (status {prediction.status}), so that nothing could be "
            "scored; add budgets, or choose curves with --strategy, --encoder and --llm"
        )
    return prediction


def _refuse_twice(budgets: Sequence[float]) -> None:
    for i, flops in enumerate(budgets):
        for other in budgets[:i]:
            if same_budget(flops, other):
                raise InputError(f"--flops: {other:.6g} and {flops:.6g} count as one budget; name it once")


def _refuse_where_run(runs: Iterable[MeasuredRun], curve: Curve, flops: float) -> None:
    for run in runs:
        if run.is_at(curve.identity, flops):
            raise InputError(
                f"{run.place}: {curve.label} has a run at {run.budget:.6g} FLOPs already, which counts as "
                f"{flops:.6g}: what is known is not forecast"
            )


def _refuse_again(folder: Path, earlier: RegisteredForecast, digest: str, predictions: Iterable[Prediction]) -> None:
    for prediction in predictions:
        same = earlier.curve == prediction.curve.identity and same_budget(earlier.flops, prediction.flops)
        if same and earlier.digest == digest:
            raise InputError(
                f"{folder / FORECASTS_FILE}: {earlier.label} was registered from this table on "
                f"{earlier.time:%Y-%m-%d %H:%M:%S} UTC; a forecast is written down once"
            )


def _forecast(
    prediction: Prediction, curves: Curves, time: datetime, rests_on: Mapping[str, Any]
) -> RegisteredForecast:
    curve = prediction.curve
    assert curve.law is not None
    assert prediction.cer is not None
    assert prediction.interval is not None
    assert prediction.curve_interval is not None
    return RegisteredForecast(
        schema=SCHEMA,
        time=time,
        **rests_on,
        **curve.names,
        flops=prediction.flops,
        cer=prediction.cer,
        level=prediction.level,
        interval=prediction.interval,
        curve_interval=prediction.curve_interval,
        quantiles=_quantiles(prediction),
        extrapolation=curve.extrapolation(prediction.flops),
        law=curve.law,
        loss=curves.loss,
        status=prediction.status,
        warnings=as_text(prediction.warnings),
        version=version("asr-scaling"),
    )


def _quantiles(prediction: Prediction) -> dict[str, float]:
    """The ends of the intervals of one new run at every level of `LEVELS` and the median, smallest first."""
    quantiles = {} if prediction.cer is None else {0.5: prediction.cer}
    for level in LEVELS:
        ends = predict(prediction.curve, prediction.flops, level).interval
        if ends is not None:
            quantiles |= {(1.0 - level) / 2.0: ends[0], (1.0 + level) / 2.0: ends[1]}
    return {f"{share:.4g}": quantiles[share] for share in sorted(quantiles)}
