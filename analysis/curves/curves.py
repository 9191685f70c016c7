"""Curves: the fitted laws of a study, one for each strategy and pair of models.

How models are treated: every (strategy, encoder, LLM) has its own law. "Strategy S at C FLOPs" without a model means
the pair whose law predicts the lowest CER there; the answer names it, and its interval is that pair's. Pairs with too
few points to fit compete only where no pair has enough.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from analysis.curves.data_checks import check_points
from analysis.curves.seed_noise import RunNoise, estimate_noise
from analysis.curves.trunk_variance import trunk_variance
from analysis.fitting.backtest import Calibration, calibrate
from analysis.fitting.fit import Fit, fit, with_common_effect
from analysis.fitting.laws import Array, law_named
from analysis.fitting.model_selection import default_fit
from analysis.notes import Note, Status
from analysis.tables.points import Point, points_of
from analysis.tables.table import Table, file_sha256
from scaling.errors import InputError, nearest

DEFAULT_LOSS = "log_ls_screened"
"""Least squares of log errors, the maximum-likelihood fit for noise that is a share of the error, gross outliers set
aside.
"""

FAR, VERY_FAR = 10.0, 100.0
"""Multiples of the largest fitted value beyond which a prediction warns (assumptions)."""

NOTICEABLE = 1.5
"""Beyond this multiple of the largest run, a prediction rests on the law rather than on the runs (assumption)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The law of one strategy with one pair of models (or of one strategy, for a law that spans models).

    `fit` is None where there are too few points for any law, `calibration` where there are too few to cut. `domain`
    holds the smallest and largest value of each of the law's columns.
    """

    strategy: str
    encoder: str | None
    llm: str | None
    fit: Fit | None
    calibration: Calibration | None
    domain: Mapping[str, tuple[float, float]]
    notes: tuple[Note, ...]
    noise: RunNoise | None = None

    @property
    def identity(self) -> tuple[str, str | None, str | None]:
        """Strategy, encoder and LLM: the `curve` of its points."""
        return self.strategy, self.encoder, self.llm

    @property
    def status(self) -> Status:
        """The fit's status."""
        return "too_few_points" if self.fit is None or "too_few_points" in self._codes else self.fit.status

    @property
    def warnings(self) -> tuple[Note, ...]:
        """Notes on the points and on the fit."""
        return self.notes + (() if self.fit is None else self.fit.warnings)

    @property
    def label(self) -> str:
        """Strategy and models in words."""
        models = " + ".join(name for name in (self.encoder, self.llm) if name)
        return f"{self.strategy} ({models})" if models else self.strategy

    @property
    def largest_flops(self) -> float:
        """The largest budget fitted. Raises InputError for a law in other columns."""
        if "C" not in self.domain:
            raise InputError(f"{self.label}: its law is in {', '.join(self.domain)}, not in FLOPs; predict with --at")
        return self.domain["C"][1]

    def cer(self, flops: float) -> float:
        """The curve at `flops`; NaN without a fit."""
        return math.nan if self.fit is None else float(self.fit.predict({"C": [flops]})[0])

    def extrapolation(self, flops: float) -> float:
        """`flops` over the largest fitted."""
        return flops / self.largest_flops

    @property
    def _codes(self) -> set[str]:
        return {note.code for note in self.notes}


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """All curves of one table, and the SHA-256 of the file of the table they were fitted to.

    `named` tells under which names the table held the law's columns, where not under their own.
    """

    source_sha256: str
    law: str | None
    loss: str
    curves: tuple[Curve, ...]
    notes: tuple[Note, ...]
    named: Mapping[str, str] = field(default_factory=dict)

    @property
    def strategies(self) -> tuple[str, ...]:
        """Names of the strategies fitted."""
        return tuple(dict.fromkeys(curve.strategy for curve in self.curves))

    def of(self, strategy: str | None = None, encoder: str | None = None, llm: str | None = None) -> tuple[Curve, ...]:
        """Curves of a strategy and models, where given. Raises InputError for a name that none has."""
        chosen = self.curves
        for name, wanted in (("strategy", strategy), ("encoder", encoder), ("llm", llm)):
            if wanted is not None:
                valid = {getattr(curve, name) or "none" for curve in chosen}
                if wanted not in valid:
                    raise InputError(f"{name}: no run has {wanted!r}{nearest(wanted, valid)}")
                chosen = tuple(curve for curve in chosen if getattr(curve, name) == wanted)
        return chosen

    def best(
        self, flops: float, strategy: str | None = None, encoder: str | None = None, llm: str | None = None
    ) -> Curve:
        """The curve with the lowest predicted CER at `flops`."""
        return lowest(self.of(strategy, encoder, llm), flops)

    def only(self, strategy: str | None = None, encoder: str | None = None, llm: str | None = None) -> Curve:
        """The one curve with these names. Raises InputError where several have them."""
        chosen = self.of(strategy, encoder, llm)
        if len(chosen) > 1:
            labels = ", ".join(curve.label for curve in chosen)
            raise InputError(f"which of {labels}? Give --strategy, --encoder or --llm")
        return chosen[0]


def lowest(curves: Sequence[Curve], flops: float) -> Curve:
    """The curve that predicts the lowest CER, see `rank`."""
    return min(curves, key=lambda curve: rank(curve, flops))


def rank(curve: Curve, flops: float) -> tuple[bool, bool, bool, float]:
    """The sort key of curves at `flops`, best first: by predicted CER. Beyond the runs a curve that its points do not
    identify comes after those that are identified; a curve with too few points always comes last.
    """
    doubtful = curve.status in ("not_identified", "not_converged") and curve.extrapolation(flops) > NOTICEABLE
    return curve.fit is None, curve.status == "too_few_points", doubtful, curve.cer(flops)


def fit_curves(table: Table, law: str | None = None, loss: str = DEFAULT_LOSS) -> Curves:
    """Fit every curve of a table. Without `law`, a law in compute is chosen by the number of points."""
    columns = law_named(law).columns if law else ("C",)
    points, notes = points_of(table, columns)
    if not points:
        raise InputError(f"{table.path}: no row can be fitted; " + "; ".join(map(str, notes[:3])))
    groups = [list(group) for _, group in groupby(points, key=lambda point: point.curve)]
    curves = tuple(_fit_curve(table, group, law, loss) for group in groups)
    return Curves(
        source_sha256=file_sha256(table.path), law=law, loss=loss, curves=curves, notes=notes, named=table.named
    )


def points_of_curve(
    table: Table, strategy: str | None, columns: tuple[str, ...]
) -> tuple[dict[str, Array], Array, Array]:
    """One curve's points, before any law: columns, errors and runs a point, each (n,).

    Raises InputError where the table holds several curves and `strategy` does not leave one.
    """
    every, _ = points_of(table, columns)
    labels = dict.fromkeys(point.curve for point in every if strategy in (None, point.strategy))
    if len(labels) != 1:
        names = ", ".join(" + ".join(filter(None, label)) for label in labels or {point.curve for point in every})
        raise InputError(f"{table.path}: which curve of {names}? Give --strategy, or --where")
    chosen = [point for point in every if point.curve in labels]
    values = {name: np.array([point.columns[name] for point in chosen]) for name in columns}
    return values, np.array([point.cer for point in chosen]), np.array([float(point.runs) for point in chosen])


def extrapolation_notes(curve: Curve, columns: Mapping[str, float]) -> list[Note]:
    """What to say about an answer at `columns`, given where the curve's points lie."""
    notes = []
    for name, (smallest, largest) in curve.domain.items():
        ratio = columns[name] / largest
        what = f"{name}={columns[name]:.4g}"
        if ratio > VERY_FAR:
            message = f"{what} is {ratio:.0f} times the largest fitted: the law may not hold there"
            notes.append(Note("extrapolation_100x", message))
        elif ratio > FAR:
            notes.append(Note("extrapolation_10x", f"{what} is {ratio:.1f} times the largest fitted"))
        elif columns[name] < smallest:
            notes.append(Note("below_data", f"{what} lies below the smallest fitted, {smallest:.4g}"))
        if name == "C" and curve.encoder and ratio > NOTICEABLE:
            message = f"all runs of {curve.label} are of one size, which saturates: more compute adds data alone"
            notes.append(Note("one_model_size", message))
    return notes


def _fit_curve(table: Table, points: Sequence[Point], law: str | None, loss: str) -> Curve:
    notes = check_points(table, points)
    columns = {name: np.array([point.columns[name] for point in points]) for name in points[0].columns}
    places = len(set(zip(*columns.values(), strict=True)))
    errors, runs = np.array([point.cer for point in points]), np.array([float(point.runs) for point in points])
    noise = estimate_noise(table, points)
    weights = runs if noise is None else runs * noise.weight(errors)
    wanted = len(law_named(law).names) if law else 2
    fitted: Fit | None = None
    if places < wanted:
        message = f"{places} points cannot show how the error falls; the law needs at least {wanted}"
        notes.append(Note("too_few_points", message))
    elif law:
        fitted = fit(law, columns, errors, loss=loss, weights=weights)
    else:
        fitted = default_fit(columns, errors, weights, loss, points[0].chance)
        if fitted.law.floor is None:
            message = f"{places} budgets cannot show a floor: a power law without one was fitted; a floor needs 4"
            notes.append(Note("too_few_points", message))
    shared = trunk_variance(table, points)
    if shared is not None and shared.ratio is None:
        message = (
            "all budgets are cut from one seed's trunk: its luck moves the whole curve and no interval here has it"
        )
        notes.append(Note("one_trunk", message))
    if fitted is not None and shared is not None and shared.ratio is not None:
        fitted = with_common_effect(fitted, shared.ratio, shared.trunks)
    return Curve(
        strategy=points[0].strategy,
        encoder=points[0].encoder,
        llm=points[0].llm,
        fit=fitted,
        calibration=None if fitted is None or fitted.dof < 1 else calibrate(fitted),
        domain={name: (float(values.min()), float(values.max())) for name, values in columns.items()},
        notes=tuple(notes),
        noise=noise,
    )
