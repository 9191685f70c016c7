"""Answers in a notebook: what the verbs print with --json, as fields; shown as they print it for people."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from analysis.comparing.compare import compare_all
from analysis.comparing.comparison_text import comparisons_text
from analysis.curves.fits import Fits
from analysis.curves.places import places, positive
from analysis.curves.predict import Prediction, predict_rows
from analysis.curves.predict import predict as predict_run
from analysis.formatting import between, number
from analysis.notebook.laws import Fittable, fits_asked
from analysis.notebook.shown import html_table
from analysis.recommending.recommend import recommend_asked
from analysis.text import prediction_text, recommendation_text, rows_text
from scaling.errors import InputError, nearest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame


class Answer(Mapping[str, Any]):
    """One answer: its fields are those that the verb prints with --json, as attributes and as items."""

    def __init__(
        self, fields: Mapping[str, Any], text: str, fits: Fits, predictions: Sequence[Prediction] = ()
    ) -> None:
        self._fields, self._text, self._fits, self._predictions = dict(fields), text, fits, tuple(predictions)

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._fields:
            raise AttributeError(
                f"the answer has no field {name!r}{nearest(name, self._fields) if name[0] != '_' else ''}"
            )
        return self._fields[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._fields]

    def __repr__(self) -> str:
        return _without_warnings(self._text)

    def _repr_html_(self) -> str:
        known = {name: value for name, value in self._fields.items() if value is not None and name != "warnings"}
        rows = [[name, _cell(value)] for name, value in known.items() if _is_short(value)]
        return html_table(["field", "value"], rows, self._fields.get("warnings") or ())

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the curves that were asked, and the prediction with the interval of one new run; the axes."""
        return _drawn(self._fits, self._predictions, ax)


class Answers(Sequence[Answer]):
    """Several answers to one question: a sequence of `Answer`."""

    def __init__(self, answers: Sequence[Answer], text: str) -> None:
        self._answers, self._text = tuple(answers), text

    @overload
    def __getitem__(self, index: int) -> Answer: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Answer]: ...
    def __getitem__(self, index: int | slice) -> Answer | Sequence[Answer]:
        return self._answers[index]

    def __len__(self) -> int:
        return len(self._answers)

    def __repr__(self) -> str:
        return _without_warnings(self._text)

    def _repr_html_(self) -> str:
        names = [name for name, value in self[0].items() if name != "warnings" and _is_short(value)]
        rows = [[_cell(answer[name]) for name in names] for answer in self]
        warnings = dict.fromkeys(line for answer in self for line in answer["warnings"])
        return html_table(names, rows, list(warnings))

    def to_frame(self) -> "DataFrame":
        """A pandas data frame, a row an answer."""
        import pandas as pd

        return pd.DataFrame([dict(answer) for answer in self])

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the curves that were asked, and every prediction; the axes."""
        return _drawn(self[0]._fits, [each for answer in self for each in answer._predictions], ax)


@overload
def predict(source: Fittable, flops: float, *, strategy: str | None = None, encoder: str | None = None,
            llm: str | None = None) -> Answer: ...  # fmt: skip
@overload
def predict(source: Fittable, flops: Sequence[float] | npt.NDArray[np.float64], *, strategy: str | None = None,
            encoder: str | None = None, llm: str | None = None) -> Answers: ...  # fmt: skip
@overload
def predict(source: Fittable, *, at: Mapping[str, float], strategy: str | None = None) -> Answer: ...
@overload
def predict(source: Fittable, *, at: Mapping[str, Sequence[float]], strategy: str | None = None) -> Answers: ...
def predict(
    source: Fittable,
    flops: Any = None,
    *,
    at: Mapping[str, Any] | None = None,
    strategy: str | None = None,
    encoder: str | None = None,
    llm: str | None = None,
) -> Answer | Answers:
    """The error of one new run at `flops`, a number or several, or `at` places in the law's columns ({"N": 7e9,
    "D": 4e12}): by default of the strategy and models that are best there.

    `source` is what `analysis.fit` returned, or anything that it takes. `cer` is the median, `interval` holds one new
    run with 90 %, `curve_interval` the curve. Raises InputError for numbers that are not positive, and for laws in
    other columns than those given.

    >>> import analysis
    >>> runs = {"flops": [1e18, 1e19, 1e20, 1e21], "cer": [0.34, 0.209, 0.135, 0.0935]}
    >>> answer = analysis.predict(runs, 1e22)
    >>> 0.06 < answer.cer < 0.08, answer.interval[0] < answer.cer < answer.interval[1], answer.extrapolation
    (True, True, 10.0)
    >>> [round(each.cer, 1) for each in analysis.predict(runs, [1e18, 1e20])]
    [0.3, 0.1]
    """
    if (flops is None) == (at is None):
        raise InputError("predict: give flops or at")
    if at is not None and not isinstance(at, Mapping):
        raise InputError(f"at: {at!r}, expected the law's columns by name, such as {{'N': 7e9, 'D': 4e12}}")
    fits = fits_asked(source, strategy, encoder, llm, at=at or ())
    if at is not None:
        curve = fits.curves.only()
        made = predict_rows(curve, places(curve, "at", _of_equal_length(at)))
        answers = [Answer(each.as_row(), rows_text([each], fits.error_name), fits) for each in made]
        several = any(np.ndim(value) for value in at.values())
        return Answers(answers, rows_text(made, fits.error_name)) if several else answers[0]
    budgets = [positive("flops", value) for value in np.atleast_1d(flops).tolist()]
    if not budgets:
        raise InputError("flops: none are given; expected a number or several")
    predictions = [predict_run(fits.curves.best(budget), budget) for budget in budgets]
    answers = [Answer(each.as_dict(), prediction_text(each, fits.error_name), fits, [each]) for each in predictions]
    return Answers(answers, rows_text(predictions, fits.error_name)) if np.ndim(flops) else answers[0]


def compare(
    source: Fittable,
    baseline: str,
    flops: float | None = None,
    *,
    strategy: str | None = None,
    encoder: str | None = None,
    llm: str | None = None,
) -> Answers:
    """Every strategy against `baseline`, at `flops` or at the largest budget that both have reached: error saved at
    equal FLOPs (`cer_reduction`), FLOPs saved at equal error (`flops_saved`), with their 90 % intervals.

    Raises InputError where the baseline is unknown or the only strategy.

    >>> import analysis
    >>> budgets, cer = [1e18, 1e19, 1e20, 1e21], [0.34, 0.209, 0.135, 0.0935]
    >>> runs = [{"recipe": "a", "flops": c, "cer": y} for c, y in zip(budgets, cer)]
    >>> runs += [{"recipe": "b", "flops": c, "cer": 0.8 * y} for c, y in zip(budgets, cer)]
    >>> (answer,) = analysis.compare(runs, "a")
    >>> answer.strategy, round(answer.cer_reduction, 2)
    ('b', 0.2)
    """
    fits = fits_asked(source, strategy, encoder, llm, baseline)
    budget = None if flops is None else positive("flops", flops)
    comparisons = compare_all(fits.curves, baseline, budget, fits.table)
    answers = [Answer(each.as_dict(), comparisons_text([each], fits.error_name), fits) for each in comparisons]
    return Answers(answers, comparisons_text(comparisons, fits.error_name))


def recommend(
    source: Fittable,
    *,
    flops: float | None = None,
    cer: float | None = None,
    usd: float | None = None,
    device_hours: float | None = None,
    hardware: str | None = None,
    lifetime_hours: float = 0.0,
    strategy: str | None = None,
    encoder: str | None = None,
    llm: str | None = None,
) -> Answer:
    """How to spend `flops`, or dollars or hours of a device (`usd`, `device_hours`, on `hardware`), or what a wanted
    `cer`, a fraction, costs: strategy, models, hours of audio, FLOPs of each stage. `lifetime_hours` of recognition
    are counted in.

    Raises InputError for none of these, or several, and for hardware that is not known.

    >>> import analysis
    >>> runs = {"flops": [1e18, 1e19, 1e20, 1e21], "cer": [0.34, 0.209, 0.135, 0.0935]}
    >>> answer = analysis.recommend(runs, cer=0.12)
    >>> 1e20 < answer.flops < 1e21, answer.strategy
    (True, 'all')
    """
    fits = fits_asked(source, strategy, encoder, llm)
    for name, amount in (("flops", flops), ("cer", cer), ("usd", usd), ("device_hours", device_hours)):
        if amount is not None:
            positive(name, amount)
    answer = recommend_asked(fits, flops, cer, usd, device_hours, hardware, lifetime_hours)
    predictions = [] if answer.prediction is None else [answer.prediction]
    return Answer(answer.as_dict(), recommendation_text(answer, fits.error_name), fits, predictions)


def _of_equal_length(at: Mapping[str, Any]) -> dict[str, list[float]]:
    """The columns asked at, single numbers repeated. Raises InputError for columns of unequal lengths and for none."""
    given = {name: np.atleast_1d(value).tolist() for name, value in at.items()}
    longest = max(map(len, given.values()), default=0)
    for name, values in given.items():
        if len(values) not in (1, longest) or not values:
            raise InputError(f"at: {name} has {len(values)} values; expected 1 or {longest or 'more'}")
    return {name: values * longest if len(values) == 1 else values for name, values in given.items()}


def _drawn(fits: Fits, predictions: Sequence[Prediction], ax: "Axes | None") -> "Axes":
    from analysis.report.figures.picture import axes_given, draw_picture, mark_prediction

    axes = axes_given(ax)
    farthest = max((prediction.columns.get("C", 0.0) for prediction in predictions), default=0.0)
    largest = max(curve.domain.get("C", (0.0, 0.0))[1] for curve in fits.curves.curves)
    draw_picture(fits, axes, farthest if farthest > largest else None)
    for prediction in predictions:
        mark_prediction(axes, prediction)
    return axes


def _without_warnings(text: str) -> str:
    return text.partition("\n  ! ")[0]


def _is_short(value: Any) -> bool:
    return not isinstance(value, dict | list) and not (isinstance(value, tuple) and len(value) != 2)


def _cell(value: Any) -> str:
    if isinstance(value, tuple):
        return between(value)
    return number(value) if isinstance(value, float) else "" if value is None else str(value)
