"""The same comparison in three currencies: FLOPs charged, FLOPs executed, and FLOPs executed less those that cached
encoder outputs saved.

Strategies pad, cache and share differently, so what a strategy saves in one currency it may lose in another. Both
curves are fitted again with the other currency as their compute. They are compared at the amount of it that the
baseline had spent when it had been charged the FLOPs of the comparison.
"""

from collections.abc import Sequence

import numpy as np

from analysis.comparing.compare_curves import compare_curves
from analysis.comparing.comparison import CURRENCIES, Comparison, Savings
from analysis.curves.curve_fitting import fit_curves
from analysis.curves.curves import Curves
from analysis.notes import Note
from analysis.tables.seed_averaged_points import Point, points_of
from analysis.tables.table import Table
from analysis.tables.usable_rows import FLOPS


def savings_by_currency(
    curves: Curves, table: Table, charged: Comparison, pair_correlation: float
) -> tuple[Savings, ...]:
    """The comparison in each currency that every run of both sides recorded; empty with `charged` FLOPs alone."""
    curve, baseline = charged.curve.identity, charged.baseline.identity
    points = [point for point in points_of(table)[0] if point.curve in (curve, baseline)]
    baseline_points = [point for point in points if point.curve == baseline]
    runs = table.select([i for point in points for i in point.rows])
    savings = [Savings(currency=FLOPS, **charged.saved)]
    for currency in CURRENCIES:
        if currency == FLOPS or not all(_spent(table, point, currency) > 0.0 for point in points):
            continue
        fitted = fit_curves(runs.renamed({FLOPS: currency}), curves.law, curves.loss).curves
        by_identity = {refitted.identity: refitted for refitted in fitted}
        flops = charged.flops * _exchange_rate(table, baseline_points, currency, charged.flops)
        converted = compare_curves(by_identity[curve], by_identity[baseline], flops, pair_correlation)
        savings.append(Savings(currency=currency, **converted.saved))
    return tuple(savings) if len(savings) > 1 else ()


def disagreement(savings: Sequence[Savings]) -> list[Note]:
    """A note where a strategy is ahead in one currency and behind in another."""
    reductions = {saving.currency_name: saving.cer_reduction for saving in savings if saving.cer_reduction is not None}
    if len({reduction > 0.0 for reduction in reductions.values()}) < 2:
        return []
    each = ", ".join(f"{reduction:.1%} by {name} FLOPs" for name, reduction in reductions.items())
    return [Note("sign_by_currency", f"Which strategy is ahead depends on which FLOPs are counted: CER saved {each}.")]


def _exchange_rate(table: Table, points: Sequence[Point], currency: str, flops: float) -> float:
    """How much of `currency` a charged FLOP takes: interpolated between budgets in log FLOPs, the nearest's beyond."""
    charged = np.log([point.flops for point in points])
    rates = [_spent(table, point, currency) / point.flops for point in points]
    return float(np.interp(np.log(flops), charged, rates))


def _spent(table: Table, point: Point, currency: str) -> float:
    """Mean FLOPs of a point's runs; NaN where a run does not say."""
    return float(np.mean([table.number(i, currency) for i in point.rows]))
