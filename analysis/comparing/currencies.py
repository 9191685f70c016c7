"""The same comparison in three currencies: FLOPs charged, executed, and executed less what kept encoder outputs saved.

Strategies pad, cache and share differently, so what one saves in one currency it may lose in another. Both curves are
fitted again with the other currency as their compute, and compared at what the baseline had spent in it when it had
been charged the FLOPs of the comparison.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.curves.curves import Curve, Curves, fit_curves
from analysis.fitting.intervals import Interval
from analysis.notes import Note
from analysis.tables.points import FLOPS, Point, points_of
from analysis.tables.table import Table

CURRENCIES = {FLOPS: "charged", "executed_flops": "executed", "cache_credited_flops": "cache-credited"}
"""Columns of a table of runs, and what they are called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What a strategy saves by one currency, at `flops` of it. None: the fits do not say."""

    currency: str
    flops: float
    cer_reduction: float | None
    cer_reduction_interval: Interval | None
    flops_saved: float | None
    flops_saved_interval: Interval | None

    @property
    def name(self) -> str:
        """The currency in words."""
        return CURRENCIES[self.currency]

    def as_dict(self) -> dict[str, Any]:
        """As an entry of `currencies` in `compare --json`."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """Both sides of a comparison with `currency` as their compute, and the budget `flops` in it."""

    currency: str
    curve: Curve
    baseline: Curve
    flops: float


def converted(curves: Curves, table: Table, curve: Curve, baseline: Curve, flops: float) -> tuple[Converted, ...]:
    """The comparison in each currency, but the charged one, that every run of both sides has."""
    points = [point for point in points_of(table)[0] if point.curve in (curve.identity, baseline.identity)]
    runs = table.select([i for point in points for i in point.rows])
    theirs = [point for point in points if point.curve == baseline.identity]
    found = []
    for currency in list(CURRENCIES)[1:]:
        if not all(_spent(table, point, currency) > 0.0 for point in points):
            continue
        again = fit_curves(runs.renamed({FLOPS: currency}), curves.law, curves.loss)
        ours, other = (next(one for one in again.curves if one.identity == side.identity) for side in (curve, baseline))
        at = flops * _exchange_rate(table, theirs, currency, flops)
        found.append(Converted(currency=currency, curve=ours, baseline=other, flops=at))
    return tuple(found)


def disagreement(gains: Sequence[Gain]) -> list[Note]:
    """A finding where a strategy is ahead by one currency and behind by another."""
    known = [(gain, gain.cer_reduction) for gain in gains if gain.cer_reduction is not None]
    if len({reduction > 0.0 for _, reduction in known}) < 2:
        return []
    said = ", ".join(f"{100.0 * reduction:.1f} % by {gain.name} FLOPs" for gain, reduction in known)
    return [Note("sign_by_currency", f"who is ahead depends on which FLOPs are counted: CER saved {said}")]


def _exchange_rate(table: Table, points: Sequence[Point], currency: str, flops: float) -> float:
    """`currency` a charged FLOP, between the budgets run interpolated in logs, beyond them that of the nearest."""
    charged = np.log([point.flops for point in points])
    rates = [_spent(table, point, currency) / point.flops for point in points]
    return float(np.interp(np.log(flops), charged, rates))


def _spent(table: Table, point: Point, currency: str) -> float:
    """Mean FLOPs of a point's runs; NaN where one does not say."""
    return float(np.mean([table.number(i, currency) for i in point.rows]))
