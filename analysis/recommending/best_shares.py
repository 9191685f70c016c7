"""How to divide a budget over the stages, where the study varied it.

Strategies with the same stages, objectives and trained parts but other shares are one family. Over a family, with one
pair of models, the log error is taken as a parabola in the log ratios of the shares, on top of a parabola in log FLOPs;
the best division moves with log FLOPs. This is the isoFLOP valley for shares instead of sizes. Only directions in which
the divisions really differ are judged, and only between the divisions tried. Intervals come from one wild bootstrap of
the whole chain.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from analysis.curves.curves import Curve
from analysis.fitting.intervals import Interval, percentiles
from analysis.fitting.laws import Array
from analysis.notes import Note
from analysis.recommending.box_search import lowest_in_box
from analysis.recommending.isoflop_frontier import wild_draws
from analysis.tables.seed_averaged_points import Point, points_of
from analysis.tables.table import Row, Table
from analysis.tables.usable_rows import FLOPS
from scaling.scoring.interval import LEVEL

SAME_DIVISION = 0.05
"""Divisions that differ by less than this in a log ratio differ by the end of a step and not by choice (assumption)."""
DRAWS = 400
"""Draws of the bootstrap: the ends of a 90 % interval rest on 20 draws each."""
EDGE = 0.02
"""A best division within this share of the range of those tried lies at its edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BestShares:
    """The best share of each stage, with intervals; `cer_reduction` is what it saves against the strategy's own."""

    shares: Mapping[str, float]
    intervals: Mapping[str, Interval]
    cer_reduction: float
    cer_reduction_interval: Interval
    divisions: int
    warnings: tuple[Note, ...]
    level: float = LEVEL


def best_shares(table: Table, curve: Curve, flops: float) -> BestShares | Note | None:
    """The best division of `flops` over a curve's stages; a note for too few divisions tried, None for one."""
    points = _family(table, curve)
    names = tuple(_division(table, points[0])) if points else ()
    tried = {point.strategy: _log_ratios(table, point) for point in points}
    if len(names) < 2 or len(tried) < 2:
        return None
    middle = np.mean(list(tried.values()), axis=0)
    _, lengths, axes = np.linalg.svd(np.array(list(tried.values())) - middle, full_matrices=False)
    axes = axes[lengths > SAME_DIVISION]
    places = {strategy: axes @ (ratios - middle) for strategy, ratios in tried.items()}
    needed = len(_parabola(np.zeros((1, len(axes)))).T)
    if len(axes) == 0 or len(tried) < needed:
        message = (
            f"{len(tried)} divisions of the budget over the stages were tried; the best one shows from {needed} on."
        )
        return Note("shares_not_identified", message)

    logs = np.log([point.flops for point in points])
    origin, place = logs.mean(), np.array([places[point.strategy] for point in points])
    shapes = np.hstack([_parabola(place), _trend(logs - origin, place)])
    if len(points) <= shapes.shape[1]:
        message = f"{len(points)} points were measured; the best division of the budget needs over {shapes.shape[1]}."
        return Note("shares_not_identified", message)
    y = np.log([point.cer for point in points])
    coefficients = np.vstack([np.linalg.pinv(shapes) @ y, wild_draws(shapes, y, DRAWS, np.random.default_rng(0))])

    def errors(places_LGK: Array) -> Array:
        lanes, count, k = places_LGK.shape
        flat = places_LGK.reshape(-1, k)
        rows = np.hstack([_parabola(flat), _trend(np.full(len(flat), np.log(flops) - origin), flat)])
        value: Array = np.einsum("lgm,lm->lg", rows.reshape(lanes, count, -1), coefficients)
        return value

    box = np.array([np.min(list(places.values()), axis=0), np.max(list(places.values()), axis=0)])
    best = lowest_in_box(errors, box, len(coefficients))
    gain, gains = _gains(errors, best, places[curve.strategy], 1.0 - shapes.shape[1] / len(points))
    shares = _shares(middle + best @ axes)
    return BestShares(
        shares=dict(zip(names, map(float, shares[0]), strict=True)),
        intervals={name: percentiles(shares[1:, k]) for k, name in enumerate(names)},
        cer_reduction=gain,
        cer_reduction_interval=percentiles(gains),
        divisions=len(tried),
        warnings=(*_edges(best[0], box), *_unproven(percentiles(gains))),
    )


def _gains(errors: Callable[[Array], Array], best_LK: Array, own_K: Array, noise_share: float) -> tuple[float, Array]:
    """What the best division saves against the strategy's own, and what it saves in every draw of the bootstrap.

    The division that looks best looks better than it is. In the world of the bootstrap, where the fit is the truth, the
    best division of each draw promises more than it gives; this optimism is taken off (Efron and Tibshirani 1993). It
    grows with the variance of the noise, of which `noise_share` is right: the draws inflate residuals for leverage.
    """
    lanes = len(best_LK)

    def everywhere(places_GK: Array) -> Array:
        return errors(np.broadcast_to(places_GK, (lanes, *places_GK.shape)))

    own_L = everywhere(own_K[None, :])[:, 0]
    promised_L = own_L - errors(best_LK[:, None, :])[:, 0]
    given = own_L[0] - everywhere(best_LK[1:])[0]
    optimism = noise_share * float(np.mean(promised_L[1:] - given))
    gains: Array = 1.0 - np.exp(optimism - (own_L - everywhere(best_LK[:1])[:, 0]))
    return float(gains[0]), gains[1:]


def _unproven(gain_interval: Interval) -> list[Note]:
    if gain_interval[0] > 0.0:
        return []
    return [
        Note("gain_not_shown", "The runs do not show that the best division gains anything: its interval holds zero.")
    ]


def _family(table: Table, curve: Curve) -> list[Point]:
    """Cells of all strategies with the stages of `curve`'s, with its models."""
    points = [point for point in points_of(table)[0] if (point.encoder, point.llm) == (curve.encoder, curve.llm)]
    kinds = {point.strategy: _kind(table.rows[point.rows[0]]) for point in points}
    wanted = kinds.get(curve.strategy)
    return [point for point in points if wanted and kinds[point.strategy] == wanted]


def _kind(row: Row) -> tuple[object, ...]:
    """What makes the stages of two strategies the same: names, objectives and trained parts, in order."""
    stages = row.get("stages") or []
    return tuple((stage["name"], stage.get("objective"), *sorted(stage.get("trains") or {})) for stage in stages)


def _division(table: Table, point: Point) -> dict[str, float]:
    """Mean FLOPs of each stage over a point's runs."""
    rows = [table.rows[i] for i in point.rows]
    return {
        stage["name"]: float(np.mean([row["stages"][k][FLOPS] for row in rows]))
        for k, stage in enumerate(rows[0]["stages"])
    }


def _log_ratios(table: Table, point: Point) -> Array:
    """Of all stages but the last to the last."""
    spent = np.log(list(_division(table, point).values()))
    ratios: Array = spent[:-1] - spent[-1]
    return ratios


def _shares(ratios_LK: Array) -> Array:
    """The inverse of `_log_ratios`: shares (l, k + 1) that add up to one."""
    weights = np.hstack([np.exp(ratios_LK), np.ones((len(ratios_LK), 1))])
    shares: Array = weights / weights.sum(1, keepdims=True)
    return shares


def _parabola(place_NK: Array) -> Array:
    """Constant, linear and quadratic shapes of a place."""
    k = place_NK.shape[1]
    squares = [place_NK[:, i] * place_NK[:, j] for i, j in combinations_with_replacement(range(k), 2)]
    return np.column_stack([np.ones(len(place_NK)), place_NK, *squares])


def _trend(logs_N: Array, place_NK: Array) -> Array:
    """Shapes of the budget, and of how the best division moves with it."""
    return np.column_stack([logs_N, logs_N**2, logs_N[:, None] * place_NK])


def _edges(best: Array, box: Array) -> list[Note]:
    span = np.ptp(box, axis=0)
    inside = (best - box[0] > EDGE * span) & (box[1] - best > EDGE * span)
    if inside.all():
        return []
    return [Note("shares_at_edge", "The best division of the budget lies at the edge of those tried.")]
