"""Laws in a notebook: fitting them to runs, and drawing them."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Union, overload

import numpy.typing as npt

from analysis.curves.fits import Fits
from analysis.curves.fits_file import fits_at, fits_of, new_fits
from analysis.curves.places import positive
from analysis.fitting.fit import Fit
from analysis.fitting.fit import fit as fit_points
from analysis.formatting import number
from analysis.notebook.runs import Readable, Runs, read
from analysis.notebook.shown import html_table
from analysis.notes import as_text
from analysis.tables.choice import Choice

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Fittable = Union[Readable, "Laws"]
"""What the functions that ask laws take: laws, or runs that laws are fitted to."""


@dataclass(frozen=True, slots=True, repr=False)
class Laws:
    """The laws of runs, one for each curve: a strategy with its models, or a value of the group."""

    runs: Runs
    fits: Fits

    @property
    def theta(self) -> dict[str, dict[str, float]]:
        """The parameters of the law that describes each curve; empty for a curve of too few budgets."""
        return {curve.label: {} if curve.fit is None else dict(curve.fit.theta) for curve in self.fits.curves.curves}

    @property
    def status(self) -> dict[str, str]:
        """How far the answers of each curve can be trusted; `asr-scaling explain` says what a status means."""
        return {curve.label: curve.status for curve in self.fits.curves.curves}

    @property
    def warnings(self) -> list[str]:
        """Everything that is remarked on, each once."""
        curves = self.fits.curves
        return as_text([*curves.notes, *(note for curve in curves.curves for note in curve.warnings)])

    def plot(self, ax: "Axes | None" = None, horizon: float | None = None) -> "Axes":
        """As `analysis.plot`."""
        return plot(self, ax, horizon=horizon)

    def __repr__(self) -> str:
        return f"<laws of {', '.join(f'{label}: {status}' for label, status in self.status.items())}>"

    def _repr_html_(self) -> str:
        rows = [
            [
                curve.label,
                "" if curve.fit is None else curve.fit.law.formula,
                "" if curve.fit is None else ", ".join(f"{k} = {number(v)}" for k, v in curve.fit.theta.items()),
                "0" if curve.fit is None else str(curve.fit.n),
                curve.status,
            ]
            for curve in self.fits.curves.curves
        ]
        return html_table(["curve", "law", "parameters", "points", "status"], rows, self.warnings)


@overload
def fit(
    source: Fittable,
    columns: Mapping[str, str] | None = None,
    *,
    where: str | None = None,
    group: str | Sequence[str] | None = None,
    law: str | None = None,
    loss: str | None = None,
) -> Laws: ...
@overload
def fit(
    source: str = "power_floor",
    columns: Mapping[str, npt.ArrayLike] | None = None,
    y: npt.ArrayLike = ...,
    *,
    law: str | None = None,
    loss: str = "log_ls",
    weights: npt.ArrayLike | None = None,
    clusters: Sequence[Hashable] | None = None,
    fixed: Mapping[str, float] | None = None,
) -> Fit: ...
def fit(
    source: Any = None,
    columns: Any = None,
    y: Any = None,
    *,
    where: str | None = None,
    group: str | Sequence[str] | None = None,
    law: str | None = None,
    loss: str | None = None,
    **of_points: Any,
) -> Laws | Fit:
    """Fit a law to every curve of runs, whatever `analysis.read` takes; answers average laws, or come from `law` alone.

    With `y`, one law is fitted to points and nothing else is done: `columns` then holds the law's columns as arrays,
    the result is a `Fit`, and `weights`, `clusters` and `fixed` are those of `analysis.fitting.fit.fit`. `loss` is
    raw_ls, log_ls, log_huber or log_ls_screened. Raises InputError as that and `analysis.read` do.

    >>> import analysis
    >>> laws = analysis.fit({"flops": [1e18, 1e19, 1e20, 1e21], "cer": [0.34, 0.209, 0.135, 0.0935]})
    >>> laws
    <laws of all: ok>
    >>> points = {"C": [1e18, 1e19, 1e20, 1e21]}
    >>> fitted = analysis.fit(law="power_floor", columns=points, y=[0.34, 0.209, 0.135, 0.0935])
    >>> round(fitted.theta["b"], 2), fitted.status
    (0.25, 'ok')
    """
    if y is not None:
        return fit_points(law or source or "power_floor", columns, y, loss=loss or "log_ls", **of_points)
    if of_points:
        name = next(iter(of_points))
        raise TypeError(f"fit() got {name!r}, which is for points alone: give y")
    if isinstance(source, Laws) and not (columns or where or group or law or loss):
        return source
    given = source.runs if isinstance(source, Laws) else source
    runs = read(given, columns=columns, where=where, group=group)
    fits = new_fits(runs.source, runs.choice, law, loss) if law or loss else fits_of(runs.source, runs.choice)
    return Laws(runs, fits)


def fits_asked(
    source: Fittable,
    strategy: str | None,
    encoder: str | None,
    llm: str | None,
    baseline: str | None = None,
    at: Collection[str] = (),
) -> Fits:
    """The fits asked about, of the law that has the columns `at`. Raises InputError for a name that no curve has."""
    if at and not isinstance(source, Laws):
        runs = read(source)
        return fits_at(runs.source, replace(runs.choice, strategy=strategy, encoder=encoder, llm=llm), at)
    return fit(source).fits.of(Choice(strategy=strategy, encoder=encoder, llm=llm), baseline)


def plot(
    source: Fittable,
    ax: "Axes | None" = None,
    *,
    strategy: str | None = None,
    encoder: str | None = None,
    llm: str | None = None,
    horizon: float | None = None,
) -> "Axes":
    """Draw runs and laws on matplotlib axes (new ones without `ax`), up to `horizon` FLOPs, and return the axes.

    Lines are laws with their 90 % interval, dashed beyond the runs. Of laws in other columns than FLOPs it shows what
    was measured against what they say. Raises InputError for an `ax` that is no axes, for a `horizon` that is no
    positive number, and where matplotlib is missing.

    >>> import analysis
    >>> from matplotlib.figure import Figure
    >>> runs = analysis.read({"flops": [1e18, 1e19, 1e20, 1e21], "cer": [0.34, 0.209, 0.135, 0.0935]})
    >>> analysis.plot(runs, Figure().subplots()).get_xlabel()
    'training FLOPs'
    """
    from analysis.report.figures.picture import axes_given, draw_picture

    axes = axes_given(ax)
    if horizon is not None:
        positive("horizon", horizon)
    draw_picture(fits_asked(source, strategy, encoder, llm), axes, horizon)
    return axes
