"""Fitting a law to points: exponents searched from many starts, coefficients solved, all lanes at once.

The recipe: (1) a grid over the exponents, coefficients solved in closed form at every grid point (variable projection);
(2) the best grid point for each value of the first exponent is polished by the batched minimiser, coefficients and
exponents together; (3) the lowest objective wins, and the fit says how many starts agreed with it and whether the
gradient vanishes there.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.fitting.cluster_noise import SharedNoise, shared_ratio
from analysis.fitting.diagnostics import diagnose
from analysis.fitting.laws import Array, Law, law_named
from analysis.fitting.losses import LOSSES, Loss, loss_named
from analysis.fitting.minimiser import Problem, minimise
from analysis.fitting.problem import problem_of, starts_of
from analysis.fitting.student_t import t_quantile
from analysis.fitting.threshold import NORMAL_MAD
from analysis.notes import Note, Status
from scaling.errors import InputError, nearest

SCHEMA = 1
"""The version of a stored fit."""

AGREEMENT = 1e-6
"""Two starts agree when their objectives differ by less than this share."""

GROSS = 2.5
"""Standard deviations beyond which one in eighty of normal residuals lies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A fitted law: parameters, the points they came from, and how far they can be trusted.

    `columns` and `y` (n,) are the points in use; `weights` (n,) count each point as that many runs; `clusters` names
    points with a common random effect (of a trunk, of a seed); `cluster_ratio` is the variance of this effect over that
    of a point's own noise, with `cluster_dof` degrees of freedom where the ratio is known from elsewhere.
    `objective` is the loss summed over the points. `excluded` holds the indices of points that were set aside as gross
    outliers.
    """

    law: Law
    loss: Loss
    columns: Mapping[str, Array]
    y: Array
    weights: Array
    clusters: tuple[Hashable, ...] | None
    fixed: Mapping[str, float]
    parameters: Array
    objective: float
    starts: int
    starts_agreeing: int
    status: Status
    warnings: tuple[Note, ...]
    excluded: tuple[int, ...]
    cluster_ratio: float | None = None
    cluster_dof: int | None = None

    @property
    def n(self) -> int:
        """Points in use."""
        return len(self.y)

    @property
    def dof(self) -> int:
        """Points minus free parameters."""
        return self.n - len(self.law.names) + len(self.fixed)

    @property
    def centre(self) -> dict[str, float]:
        """The origin of the parameters, see `Law.centre`."""
        return self.law.centre(self.columns)

    @property
    def theta(self) -> dict[str, float]:
        """Parameters in natural units."""
        return self.law.theta(self.parameters, self.centre)

    @property
    def problem(self) -> Problem:
        """The problem that was minimised, as one lane."""
        problem = problem_of(self.law, self.loss, self.columns, self.y, self.weights, self.fixed)
        if self.cluster_ratio is None or self.loss.delta is not None:
            return problem
        return replace(problem, whitener=self.shared_noise.whitener)

    @property
    def shared_noise(self) -> SharedNoise:
        """How the noise of clusters is shared; for fits with clusters."""
        return SharedNoise.of(self.clusters or (), self.cluster_ratio or 0.0, self.cluster_dof)

    @property
    def jacobian(self) -> Array:
        """Derivatives (n, m) of weighted residuals at the fit, before whitening."""
        plain = problem_of(self.law, self.loss, self.columns, self.y, self.weights, self.fixed)
        return plain.weighted(self.parameters)[1]

    @property
    def noise_scale(self) -> float:
        """The standard deviation of one run on the scale of the residuals; for a robust loss a robust estimate."""
        value = self.predict(self.columns)
        residual = (self.loss.link(self.y) - self.loss.link(value)) * np.sqrt(self.weights)
        if self.loss.delta is None:
            return float(np.sqrt((residual**2).sum() / max(self.dof, 1)))
        return float(np.median(np.sort(np.abs(residual))[self.n - self.dof :])) / NORMAL_MAD

    @property
    def condition_number(self) -> float:
        """Condition of the Jacobian, its columns scaled to length one: parameters are known so many times worse."""
        jacobian = self.jacobian[:, self.problem.free(self.parameters)]
        lengths = np.linalg.norm(jacobian, axis=0)
        return float(np.linalg.cond(jacobian[:, lengths > 0.0] / lengths[lengths > 0.0]))

    def predict(self, columns: Mapping[str, npt.ArrayLike]) -> Array:
        """The curve at `columns`, shape (k,)."""
        value, _ = self.law.evaluate(self.logs(columns), self.parameters[None, :])
        return np.broadcast_to(value[0], np.broadcast_shapes(value[0].shape, self._length(columns))).copy()

    def refit(
        self, y: Array | None = None, keep: npt.NDArray[np.intp] | None = None, fixed: Mapping[str, float] | None = None
    ) -> "Fit":
        """The same law and noise fitted to other values `y`, to the points `keep`, or with `fixed` parameters held."""
        index = np.arange(self.n) if keep is None else keep
        ratio_known = self.cluster_dof is not None
        again = fit(
            self.law,
            {name: values[index] for name, values in self.columns.items()},
            (self.y if y is None else y)[index],
            loss=replace(self.loss, screened=False),
            weights=self.weights[index],
            clusters=None if self.clusters is None or ratio_known else [self.clusters[i] for i in index],
            fixed={**self.fixed, **(fixed or {})},
        )
        if self.cluster_dof is None or self.cluster_ratio is None:
            return again
        return with_common_effect(again, self.cluster_ratio, self.cluster_dof + 1)

    def logs(self, columns: Mapping[str, npt.ArrayLike]) -> dict[str, Array]:
        """Centred logs (1, k) of new columns. Raises InputError where one is missing or not positive."""
        centre = self.centre
        return {name: np.log(positive_column(columns, name))[None, :] - centre[name] for name in self.law.columns}

    def as_dict(self) -> dict[str, object]:
        """The fit as JSON holds it; `from_dict` restores it exactly."""
        return {
            "schema": SCHEMA,
            "law": self.law.name,
            "loss": self.loss.name,
            "columns": {name: list(map(float, values)) for name, values in self.columns.items()},
            "y": self.y.tolist(),
            "weights": self.weights.tolist(),
            "clusters": None if self.clusters is None else list(self.clusters),
            "fixed": dict(self.fixed),
            "parameters": self.parameters.tolist(),
            "objective": self.objective,
            "starts": self.starts,
            "starts_agreeing": self.starts_agreeing,
            "status": self.status,
            "warnings": [[note.code, note.message] for note in self.warnings],
            "excluded": list(self.excluded),
            "cluster_ratio": self.cluster_ratio,
            "cluster_dof": self.cluster_dof,
        }

    @staticmethod
    def from_dict(document: Mapping[str, Any]) -> "Fit":
        """A stored fit. Raises InputError where it was written by another version of the schema."""
        if document.get("schema") != SCHEMA:
            raise InputError(f"fit: schema {document.get('schema')!r}, expected {SCHEMA}; fit the data again")
        return Fit(
            law=law_named(document["law"]),
            loss=loss_named(document["loss"]),
            columns={name: np.array(values, dtype=float) for name, values in document["columns"].items()},
            y=np.array(document["y"], dtype=float),
            weights=np.array(document["weights"], dtype=float),
            clusters=None if document["clusters"] is None else tuple(document["clusters"]),
            fixed=document["fixed"],
            parameters=np.array(document["parameters"], dtype=float),
            objective=document["objective"],
            starts=document["starts"],
            starts_agreeing=document["starts_agreeing"],
            status=document["status"],
            warnings=tuple(Note(code, message) for code, message in document["warnings"]),
            excluded=tuple(document["excluded"]),
            cluster_ratio=document["cluster_ratio"],
            cluster_dof=document["cluster_dof"],
        )

    def _length(self, columns: Mapping[str, npt.ArrayLike]) -> tuple[int, ...]:
        return np.broadcast_shapes(*(np.shape(np.atleast_1d(columns[name])) for name in self.law.columns))


def fit(
    law: str | Law = "power_floor",
    columns: Mapping[str, npt.ArrayLike] | None = None,
    y: npt.ArrayLike = (),
    loss: str | Loss = "log_ls",
    weights: npt.ArrayLike | None = None,
    clusters: Sequence[Hashable] | None = None,
    fixed: Mapping[str, float] | None = None,
) -> Fit:
    """Fit `law` to points.

    `columns` holds the law's columns by name ({"C": flops} or {"N": parameters, "D": tokens}), `y` the errors or
    losses, all of shape (n,) and positive. `weights` counts a point as so many runs; `clusters` labels points
    with a common random effect; `fixed` holds floors or exponents at a given value. Raises InputError for wrong names,
    shapes or values, and where there are fewer points than parameters. A doubtful fit is returned with its `status` and
    `warnings`.
    """
    law = law_named(law) if isinstance(law, str) else law
    loss = loss_named(loss) if isinstance(loss, str) else loss
    fixed = dict(fixed or {})
    _check_fixed(law, fixed)
    points = {name: positive_column(columns or {}, name) for name in law.columns}
    target = positive_column({"y": y}, "y")
    weight = np.ones_like(target) if weights is None else positive_column({"weights": weights}, "weights")
    for name, values in {**points, "weights": weight}.items():
        if len(values) != len(target):
            raise InputError(f"column {name}: {len(values)} values, but y has {len(target)}")
    if clusters is not None and len(clusters) != len(target):
        raise InputError(f"clusters: {len(clusters)} labels, but y has {len(target)}")
    free = len(law.names) - len(fixed)
    if len(target) < free:
        raise InputError(f"law {law.name}: {len(target)} points cannot determine {free} parameters")

    outliers = _gross_outliers(law, points, target, weight, fixed) if loss.screened else np.array([], dtype=np.intp)
    keep = np.setdiff1d(np.arange(len(target)), outliers)
    points = {name: values[keep] for name, values in points.items()}
    target, weight = target[keep], weight[keep]
    problem = problem_of(law, loss, points, target, weight, fixed)
    minima = minimise(problem, starts_of(problem, fixed))
    best = int(np.argmin(np.where(np.isfinite(minima.cost), minima.cost, np.inf)))
    kept_clusters = None if clusters is None else tuple(clusters[i] for i in keep)
    ratio = _cluster_ratio(problem, minima.parameters[best], kept_clusters)
    if ratio is not None and loss.delta is None:
        problem = replace(problem, whitener=SharedNoise.of(kept_clusters or (), ratio).whitener)
        minima = minimise(problem, minima.parameters)
        best = int(np.argmin(minima.cost))
    status, notes = diagnose(problem, minima, best, points, fixed)
    notes += [_outlier_note(law, _column_values_at(columns, law, i), float(np.ravel(y)[i])) for i in outliers]
    return Fit(
        law=law,
        loss=loss,
        columns=points,
        y=target,
        weights=weight,
        clusters=kept_clusters,
        fixed=fixed,
        parameters=minima.parameters[best],
        objective=float(replace(problem, whitener=None).cost(minima.parameters[[best]])[0]),
        starts=len(minima.cost),
        starts_agreeing=int((minima.cost <= minima.cost[best] * (1.0 + AGREEMENT) + 1e-24).sum()),
        status=status,
        warnings=tuple(notes),
        excluded=tuple(int(i) for i in outliers),
        cluster_ratio=ratio,
    )


def with_common_effect(fitted: Fit, ratio: float, trunks: int) -> Fit:
    """The fit of points that all share one random effect, the mean over `trunks` trunks; its variance is `ratio` times
    that of a point's own noise.

    The curve stays the same; its intervals widen, because the effect moves the whole curve.
    """
    return replace(fitted, clusters=(0,) * fitted.n, cluster_ratio=ratio, cluster_dof=max(trunks - 1, 1))


def positive_column(columns: Mapping[str, npt.ArrayLike], name: str) -> Array:
    """Column `name` as floats (n,), all finite and positive. Raises InputError otherwise."""
    if name not in columns:
        raise InputError(f"columns: {name!r} is missing; given: {', '.join(columns) or 'none'}")
    try:
        values = np.atleast_1d(np.asarray(columns[name], dtype=float))
    except (TypeError, ValueError):
        raise InputError(f"column {name}: {columns[name]!r}, expected numbers") from None
    wrong = np.flatnonzero(~(np.isfinite(values) & (values > 0.0)))
    if len(wrong):
        raise InputError(f"column {name}, entry {wrong[0]}: {values[wrong[0]]}, expected a positive number")
    return values


def _column_values_at(columns: Mapping[str, npt.ArrayLike] | None, law: Law, index: int) -> dict[str, float]:
    """The columns of one point."""
    return {name: float(np.ravel((columns or {})[name])[index]) for name in law.columns}


def _check_fixed(law: Law, fixed: Mapping[str, float]) -> None:
    allowed = [term.name for term in law.terms if not term.amplitude] + [exponent.name for exponent in law.exponents]
    for name in fixed:
        if name not in allowed:
            raise InputError(f"fixed: {name!r} cannot be fixed in law {law.name}{nearest(name, allowed)}")


def _cluster_ratio(problem: Problem, parameters: Array, clusters: Sequence[Hashable] | None) -> float | None:
    """Variance shared in clusters over a point's own, gross residuals drawn in; None where no two points share one."""
    if clusters is None or len(set(clusters)) == len(clusters):
        return None
    residual, jacobian = problem.weighted(parameters)
    if problem.loss.delta is not None:
        limit = GROSS * max(float(np.median(np.abs(residual))) / NORMAL_MAD, 1e-300)
        residual = np.clip(residual, -limit, limit)
    return shared_ratio(residual, jacobian[:, problem.free(parameters)], clusters)


def _gross_outliers(
    law: Law, columns: Mapping[str, Array], y: Array, weights: Array, fixed: Mapping[str, float]
) -> npt.NDArray[np.intp]:
    """Points so far off a least-absolute-deviation fit that noise would put one there in fewer than 1 % of tables.

    The scale is the median of the largest n - p residuals (a LAD fit goes through p points), and the cut 1.5 times the
    Bonferroni t, because that scale is itself uncertain. Never more than a fifth of the points.
    """
    free = len(law.names) - len(fixed)
    dof = len(y) - free
    if dof < 3:
        return np.array([], dtype=np.intp)
    problem = problem_of(law, LOSSES["log_huber"], columns, y, weights, fixed)
    minima = minimise(problem, starts_of(problem, fixed), max_steps=60)
    value, _ = law.evaluate(problem.z, minima.parameters[[np.argmin(minima.cost)]])
    size = np.abs(np.log(y) - np.log(value[0])) * np.sqrt(weights)
    scale = max(float(np.median(np.sort(size)[free:])) / NORMAL_MAD, 1e-9)
    wrong = np.flatnonzero(size > 1.5 * t_quantile(1.0 - 0.005 / len(y), dof) * scale)
    return wrong[np.argsort(-size[wrong])][: len(y) // 5]


def _outlier_note(law: Law, point: Mapping[str, float], y: float) -> Note:
    where = ", ".join(f"{name}={value:.4g}" for name, value in point.items())
    return Note(
        "outlier", f"The point at {where} with error {y:.4g} lies far off any {law.name} law and was set aside."
    )
