"""The best encoder size, LLM size and hours of audio for a budget, from one law over all sizes of a strategy.

The law is `llm_asr`, E + A Ne^-alpha + B Nl^-beta + G H^-gamma. A size that all runs share is part of E, and the law is
then `chinchilla` in the other size and the hours. What an hour of audio costs a stage is a line in both sizes through
the prices of the runs, so that sizes between those of the runs have a price. Training gets what a lifetime of
recognition leaves of the budget. Hours are capped at `MANY_EPOCHS` passes over the audio that exists.

Intervals of sizes and hours are percentiles of a wild bootstrap in which the law is fitted and the optimum sought
again. The interval of the error is the profile interval of the law at the optimum.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from analysis.fitting.bootstrap import wild_refits
from analysis.fitting.fit import Fit, fit
from analysis.fitting.intervals import Interval, interval, percentiles
from analysis.fitting.laws import CHINCHILLA, LLM_ASR, Array, Law
from analysis.fitting.minimiser import linear_coefficients
from analysis.forecasting.repetition import MANY_EPOCHS
from analysis.formatting import counted
from analysis.notes import IDENTIFIED, Note, Status
from analysis.recommending.box_search import lowest_in_box
from analysis.recommending.inference_cost import flops_an_hour
from analysis.tables.seed_averaged_points import Point, points_of
from analysis.tables.table import Row, Table
from analysis.tables.usable_rows import FLOPS
from scaling.cost.amounts import SECONDS_AN_HOUR
from scaling.ledger.records import is_usable
from scaling.scoring.interval import LEVEL

FEWEST_SIZES = 3
"""Two sizes give one difference; an exponent needs a third size."""
DRAWS = 200
"""Draws of the bootstrap: the ends of a 90 % interval rest on 10 draws each."""
EDGE = 0.02
"""An optimum within this share of the range of the sizes tried, or of the hours that exist, lies at the edge."""
POOR_PRICE = 0.15
"""A line in the sizes that misses the price of a run by more than this share moves the optimum (assumption)."""
SIZES = {"encoder_params": "encoder size", "llm_params": "LLM size"}
"""The columns of a table of runs that hold sizes, and what each size is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BestSizes:
    """Where the law is lowest for the budget. Sizes in parameters; an interval is None where all runs share the size.

    `audio_hours` counts every pass. `training_flops` and `inference_flops` (of the lifetime) make up the budget.
    """

    encoder_params: float
    encoder_params_interval: Interval | None
    llm_params: float
    llm_params_interval: Interval | None
    audio_hours: float
    audio_hours_interval: Interval
    cer: float
    cer_interval: Interval
    training_flops: float
    inference_flops: float
    status: Status
    warnings: tuple[Note, ...]
    level: float = LEVEL


def best_sizes(table: Table, strategy: str, flops: float, lifetime_hours: float = 0.0) -> BestSizes | Note | None:
    """The optimum for `flops`, `lifetime_hours` included; a note where runs do not identify it; None for one size."""
    rows = [i for i, row in enumerate(table.rows) if (row.get("strategy") or "all") == strategy and _is_complete(row)]
    counts = {size: len({float(table.rows[i][size]) for i in rows}) for size in SIZES}
    if max(counts.values()) < 2:
        return None
    varied = [size for size, count in counts.items() if count >= FEWEST_SIZES]
    if not varied or 2 in counts.values():
        values = " and ".join(counted(counts[size], name) for size, name in SIZES.items())
        message = f"The best sizes of models are not known: {strategy} was run with {values}."
        return Note("sizes_not_identified", message)
    runs = _Runs.of(table.select(rows), varied, lifetime_hours)
    if len(runs.points) <= len(runs.law.names):
        points = f"{counted(len(runs.points), 'point')} measured, and its law has {len(runs.law.names)} parameters"
        return Note("sizes_not_identified", f"The best sizes of models are not known: {points}.")
    fitted = fit(runs.law, runs.columns, runs.errors, loss="log_ls_screened", weights=runs.weights)
    if fitted.status not in IDENTIFIED:
        message = " ".join(note.message for note in fitted.warnings)
        return Note("sizes_not_identified", f"The best sizes of models are not known. {message}")
    if runs.training(np.exp(runs.box[0]), flops) <= 0.0:
        message = f"{lifetime_hours:.4g} hours of recognition alone cost the smallest models over {flops:.4g} FLOPs."
        return Note("lifetime_over_budget", message)
    return _optimum(runs, fitted, flops)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Price:
    """FLOPs an hour of audio, linear in both sizes; `error` is the largest relative error over the runs."""

    coefficients: Array
    error: float

    @staticmethod
    def through(sizes_N2: Array, flops_N: Array) -> "_Price":
        scale = np.array([1.0, *sizes_N2.mean(0)])
        shapes = np.column_stack([np.ones(len(flops_N)), sizes_N2]) / scale
        coefficients = linear_coefficients(shapes[None], flops_N[None], 1.0 / flops_N[None] ** 2, {})[0]
        return _Price(
            coefficients=coefficients / scale, error=float(np.max(np.abs(shapes @ coefficients / flops_N - 1.0)))
        )

    def at(self, sizes: Array) -> Array:
        price: Array = self.coefficients[0] + sizes @ self.coefficients[1:]
        return price


@dataclass(frozen=True, slots=True, kw_only=True)
class _Runs:
    """The runs of one strategy: the points of the law, what an hour costs its stages (and a lifetime of recognition,
    where there is one), and the box of the logs of the sizes tried (2, 2).
    """

    law: Law
    named: Mapping[str, str]
    points: tuple[Point, ...]
    shares: Array
    prices: tuple[_Price, ...]
    lifetime: _Price | None
    box: Array
    most_hours: float

    @staticmethod
    def of(table: Table, varied: list[str], lifetime_hours: float) -> "_Runs":
        law = LLM_ASR if len(varied) > 1 else CHINCHILLA
        named = dict(zip(law.columns, (*varied, "hours"), strict=True))
        values = [{**row, "hours": float(row["audio_seconds"]) / SECONDS_AN_HOUR} for row in table.rows]
        rows = tuple({**row, **{name: row[column] for name, column in named.items()}} for row in values)
        points, _ = points_of(replace(table, rows=rows), law.columns)
        used = [rows[i] for point in points for i in point.rows]
        sizes = np.array([[float(row[size]) for size in SIZES] for row in used])
        stages = [_stages(row) for row in used]
        largest = np.argmax([float(row[FLOPS]) for row in used])
        existing_hours = [float(row["train_hours"]) for row in used if row.get("train_hours")]
        names = list(stages[int(largest)])
        return _Runs(
            law=law,
            named=named,
            points=points,
            shares=np.array([stages[int(largest)][name][0] for name in names]) / float(used[int(largest)][FLOPS]),
            prices=tuple(
                _Price.through(sizes, np.array([stage[name][0] / stage[name][1] for stage in stages])) for name in names
            ),
            lifetime=None
            if lifetime_hours <= 0.0
            else _Price.through(
                sizes,
                np.array(
                    [lifetime_hours * flops_an_hour(row["encoder"], row["llm"], table.path.parent) for row in used]
                ),
            ),
            box=np.log([sizes.min(0), sizes.max(0)]),
            most_hours=MANY_EPOCHS * max(existing_hours) if existing_hours else math.inf,
        )

    @property
    def columns(self) -> dict[str, Array]:
        return {name: np.array([point.columns[name] for point in self.points]) for name in self.law.columns}

    @property
    def errors(self) -> Array:
        return np.array([point.cer for point in self.points])

    @property
    def weights(self) -> Array:
        return np.array([float(point.runs) for point in self.points])

    def training(self, sizes: Array, flops: float) -> Array:
        """What a lifetime of recognition leaves for training."""
        return np.full(sizes.shape[:-1], flops) - (0.0 if self.lifetime is None else self.lifetime.at(sizes))

    def hours(self, sizes: Array, training_flops: Array) -> Array:
        """Hours of audio that training pays for, at most those that exist."""
        an_hour = sum(
            (share / price.at(sizes) for share, price in zip(self.shares, self.prices, strict=True)), np.zeros(1)
        )
        return np.minimum(np.maximum(training_flops, 0.0) * an_hour, self.most_hours)

    def law_columns(self, sizes: Array, hours: Array) -> dict[str, Array]:
        values = {size: sizes[..., k] for k, size in enumerate(SIZES)} | {"hours": hours}
        return {name: values[column] for name, column in self.named.items()}


def _optimum(runs: _Runs, fitted: Fit, flops: float) -> BestSizes:
    parameters = np.vstack([fitted.parameters[None, :], wild_refits(fitted, DRAWS)])
    centre = fitted.centre

    def error(logs_LGK: Array) -> Array:
        sizes = np.exp(logs_LGK)
        hours = runs.hours(sizes, runs.training(sizes, flops))
        columns = runs.law_columns(sizes, np.maximum(hours, 1e-300))
        value, _ = fitted.law.evaluate({name: np.log(columns[name]) - centre[name] for name in columns}, parameters)
        return np.where(hours > 0.0, value, np.inf)

    best = np.exp(lowest_in_box(error, runs.box, len(parameters)))
    training = runs.training(best, flops)
    hours = runs.hours(best, training)
    at = {name: values[:1] for name, values in runs.law_columns(best, hours).items()}
    low, high = interval(fitted, at)
    shared = {size: bool(np.ptp(runs.box[:, k]) == 0.0) for k, size in enumerate(SIZES)}
    return BestSizes(
        encoder_params=float(best[0, 0]),
        encoder_params_interval=None if shared["encoder_params"] else percentiles(best[1:, 0]),
        llm_params=float(best[0, 1]),
        llm_params_interval=None if shared["llm_params"] else percentiles(best[1:, 1]),
        audio_hours=float(hours[0]),
        audio_hours_interval=percentiles(hours[1:]),
        cer=float(fitted.predict(at)[0]),
        cer_interval=(float(low[0]), float(high[0])),
        training_flops=float(training[0]),
        inference_flops=float(flops - training[0]),
        status=fitted.status,
        warnings=tuple(_remarks(runs, best[0], float(hours[0]))),
    )


def _remarks(runs: _Runs, best: Array, hours: float) -> list[Note]:
    notes = []
    for k, (size, name) in enumerate(SIZES.items()):
        low, high = runs.box[:, k]
        place = (math.log(best[k]) - low) / (high - low) if high > low else 0.5
        if size in runs.named.values() and not EDGE < place < 1.0 - EDGE:
            which = "smallest" if place < 0.5 else "largest"
            notes.append(Note("size_at_edge", f"The best {name} is the {which} tried, {best[k]:.4g} parameters."))
    if hours >= (1.0 - EDGE) * runs.most_hours:
        message = (
            f"{hours:.4g} hours are {MANY_EPOCHS:.0f} passes over the audio that exists; more audio would serve better."
        )
        notes.append(Note("hours_capped", message))
    prices = [*runs.prices, *([] if runs.lifetime is None else [runs.lifetime])]
    if (worst := max(price.error for price in prices)) > POOR_PRICE:
        notes.append(
            Note(
                "poor_price",
                f"FLOPs an hour, taken as linear in the sizes of models, miss those of runs by up to {worst:.0%}.",
            )
        )
    return notes


def _is_complete(row: Row) -> bool:
    """Whether a usable row says how large its models are and how much audio it heard."""
    return is_usable(row) and all(row.get(name) for name in (*SIZES, "audio_seconds", FLOPS))


def _stages(row: Row) -> dict[str, tuple[float, float]]:
    """FLOPs and hours of each stage; of the run as one stage where its stages are not recorded."""
    stages = row.get("stages") or []
    if not stages or not all(stage.get("audio_seconds") for stage in stages):
        return {"run": (float(row[FLOPS]), float(row["audio_seconds"]) / SECONDS_AN_HOUR)}
    return {stage["name"]: (float(stage[FLOPS]), float(stage["audio_seconds"]) / SECONDS_AN_HOUR) for stage in stages}
