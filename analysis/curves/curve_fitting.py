"""Fitting the curves of a table: runs that failed are set aside, then laws are weighed by what every run says.

The curves of one table share a prior: the parameters that a law may have are pooled over all curves.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np

from analysis.curves.curves import Curve, Curves
from analysis.curves.data_checks import check_points
from analysis.curves.forecasting_input import ForecastingInput, base_prior, forecasting_input, is_error_rate, seed_notes
from analysis.curves.screening import DEAF, FAILED, FEWEST_BUDGETS, set_aside
from analysis.curves.seed_noise import RunNoise, estimate_noise
from analysis.curves.trunk_variance import trunk_variance
from analysis.fitting.backtest import calibrate
from analysis.fitting.fit import Fit, fit, with_common_effect
from analysis.fitting.laws import Array, law_named
from analysis.fitting.model_selection import default_fit
from analysis.forecasting.evidence import Evidence
from analysis.forecasting.outlook import Outlook
from analysis.forecasting.pooling import pooled_priors
from analysis.forecasting.posterior import Posterior
from analysis.forecasting.prior import Prior
from analysis.formatting import counted
from analysis.notes import Note
from analysis.tables.choice import EVERYTHING, Choice
from analysis.tables.seed_averaged_points import CurveIdentity, Point, curve_identity, points_of
from analysis.tables.table import Table, file_sha256
from analysis.tables.usable_rows import ERROR, NAMED
from scaling.errors import InputError

LEAST_FALL = 1.05
"""An error that falls by less than this factor over all budgets counts as constant: a law would follow noise."""

FEWEST_FOR_FLOOR = 4
"""Fewer budgets than this cannot show a floor."""

DEFAULT_LOSS = "log_ls_screened"
"""Least squares of log errors, most likely for noise that is a share of the error; gross outliers set aside."""


def fit_curves(table: Table, law: str | None = None, loss: str = DEFAULT_LOSS) -> Curves:
    """Fit every curve of a table, averaging laws in compute, or by `law` alone. Raises InputError for no usable row."""
    columns = law_named(law).columns if law else ("C",)
    aside = set_aside(table) if columns == ("C",) else {}
    used = table.without(aside)
    points, notes = _points_used(table, aside, columns)
    groups = [list(group) for _, group in groupby(points, key=lambda point: point.curve)]
    outlooks = {} if law else _outlooks(table, used, groups)
    curves = tuple(_described(used, group, law, loss, notes, outlooks.get(group[0].curve, ())) for group in groups)
    return Curves(
        source_sha256=file_sha256(table.path),
        law=law,
        loss=loss,
        curves=curves,
        notes=notes,
        named=table.named,
        set_aside=tuple(table.lines[i] for i in aside),
    )


def points_of_curve(
    table: Table, columns: tuple[str, ...], choice: Choice = EVERYTHING
) -> tuple[dict[str, Array], Array, Array, tuple[Note, ...]]:
    """One curve's points, before any law: columns, errors and runs a point, each (n,); and notes on rows left out.

    Raises InputError where `choice` does not leave one curve.
    """
    chosen = choice.rows_of_curves(table)
    wanted = {curve_identity(row) for row in chosen.rows}
    in_compute = columns == ("C",)
    every, notes = _points_used(table if in_compute else chosen, set_aside(table) if in_compute else {}, columns)
    points = [point for point in every if not in_compute or point.curve in wanted]
    curves = dict.fromkeys(point.curve for point in points)
    if len(curves) != 1:
        names = ", ".join(" + ".join(filter(None, curve)) for curve in curves or {point.curve for point in every})
        raise InputError(f"{table.path}: which curve of {names}? Give --strategy, --encoder, --llm or --where")
    values = {name: np.array([point.columns[name] for point in points]) for name in columns}
    errors, runs = np.array([point.cer for point in points]), np.array([float(point.runs) for point in points])
    return values, errors, runs, notes


def _points_used(
    table: Table, aside: Mapping[int, str], columns: tuple[str, ...]
) -> tuple[tuple[Point, ...], tuple[Note, ...]]:
    """The points of the runs kept, and notes that name the rows left out. Raises InputError without any."""
    points, notes = points_of(table.without(aside), columns)
    if not points:
        raise InputError(f"{table.path}: no row can be fitted; " + "; ".join(map(str, notes[:3])))
    return points, (*notes, *_aside_notes(table, aside))


def _outlooks(table: Table, used: Table, groups: Sequence[Sequence[Point]]) -> dict[CurveIdentity, tuple[Outlook, ...]]:
    """The outlook of each curve with enough points, and where runs were set aside a second one, with these runs."""
    whole = {identity: list(points) for identity, points in groupby(points_of(table)[0], key=lambda point: point.curve)}
    long = [group for group in groups if _places(group) >= FEWEST_BUDGETS]
    rates = is_error_rate(used, [point for group in groups for point in group])
    inputs = [forecasting_input(used, group, rates) for group in long]
    evidences = [Evidence(each.runs) for each in inputs]
    priors = pooled_priors(evidences, base_prior(used, rates))
    outlooks = {}
    for group, each, evidence, prior in zip(long, inputs, evidences, priors, strict=True):
        answers = [_outlook(each, evidence, prior, len(long) - 1)]
        if sum(point.runs for point in whole[group[0].curve]) > sum(point.runs for point in group):
            every = forecasting_input(table, whole[group[0].curve], rates)
            answers.append(_outlook(every, Evidence(every.runs), prior, len(long) - 1))
        outlooks[group[0].curve] = tuple(answers)
    return outlooks


def _outlook(of_curve: ForecastingInput, evidence: Evidence, prior: Prior, pooled: int) -> Outlook:
    components = Posterior(evidence, prior).components()
    return Outlook(
        runs=of_curve.runs,
        prior=prior,
        components=components,
        scale=of_curve.scale,
        ref_chars=of_curve.ref_chars,
        passes=of_curve.passes,
        pooled=pooled,
    )


def _described(
    table: Table,
    points: Sequence[Point],
    law: str | None,
    loss: str,
    notes: Sequence[Note],
    outlooks: tuple[Outlook, ...],
) -> Curve:
    """The curve of `points`, with the fit of the law that describes them."""
    noise = estimate_noise(table, points)
    fitted, law_notes = _law_fitted(table, points, law, loss, noise)
    outlook, of_all_runs = (*outlooks, None, None)[:2]
    return Curve(
        strategy=points[0].strategy,
        encoder=points[0].encoder,
        llm=points[0].llm,
        fit=fitted,
        calibration=calibrate(fitted) if law and fitted is not None and fitted.dof >= 1 else None,
        domain={
            name: (min(point.columns[name] for point in points), max(point.columns[name] for point in points))
            for name in points[0].columns
        },
        notes=(*notes, *check_points(table, points), *law_notes, *_outlook_notes(table, points, outlook)),
        noise=noise if law else None,
        outlook=outlook,
        of_all_runs=of_all_runs,
    )


def _outlook_notes(table: Table, points: Sequence[Point], outlook: Outlook | None) -> list[Note]:
    if outlook is None:
        return []
    first, last = outlook.median(outlook.runs.flops_N[[0, -1]])
    if first >= LEAST_FALL * last:
        return seed_notes(table, points)
    message = f"The error does not fall over the budgets: {first:.4g} at the smallest, {last:.4g} at the largest."
    return [Note("no_fall", message), *seed_notes(table, points)]


def _law_fitted(
    table: Table, points: Sequence[Point], law: str | None, loss: str, noise: RunNoise | None
) -> tuple[Fit | None, list[Note]]:
    columns = {name: np.array([point.columns[name] for point in points]) for name in points[0].columns}
    errors, runs = np.array([point.cer for point in points]), np.array([float(point.runs) for point in points])
    weights = runs if noise is None else runs * noise.weight(errors)
    places, wanted = _places(points), len(law_named(law).names) if law else FEWEST_BUDGETS
    if places < wanted:
        message = f"{counted(places, 'point')} measured; the law needs at least {wanted} to show how the error falls."
        return None, [Note("too_few_points", message)]
    if law is None:
        message = f"{counted(places, 'budget')} cannot say much: the interval is wide, and leans on other curves."
        notes = [Note("too_few_points", message)] if places < FEWEST_FOR_FLOOR else []
        return default_fit(columns, errors, weights, loss, points[0].chance), notes
    fitted, shared = fit(law, columns, errors, loss=loss, weights=weights), trunk_variance(table, points)
    if shared is None:
        return fitted, []
    if shared.ratio is None:
        message = "All budgets are cut from one training run of one seed: seed variation is not in this interval."
        return fitted, [Note("one_trunk", message)]
    return with_common_effect(fitted, shared.ratio, shared.trunks), []


def _places(points: Sequence[Point]) -> int:
    """How many different places a curve was measured at."""
    return len({tuple(point.columns.values()) for point in points})


def _aside_notes(table: Table, aside: Mapping[int, str]) -> list[Note]:
    """A note for each reason why runs were set aside, with the first of these runs by name."""
    notes = []
    for reason in (DEAF, FAILED):
        code = "not_hearing" if reason == DEAF else "failed_run"
        rows = sorted(i for i, why in aside.items() if why == reason)
        if rows:
            each = ", ".join(f"{table.place(i)} ({ERROR} {table.number(i, ERROR):.4g})" for i in rows[:NAMED])
            more = f" and {len(rows) - NAMED} more" if len(rows) > NAMED else ""
            notes.append(Note(code, f"Runs that {reason} were set aside: {each}{more}."))
    return notes
