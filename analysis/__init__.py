"""What the results say: tables of runs, laws fitted to them, comparisons, recommendations, the report.
Nothing here trains or starts a run. For notebooks and scripts there are functions, which are imported late:

>>> import analysis
>>> runs = analysis.read({"FLOPs": [1e18, 1e19, 1e20, 1e21], "CER": ["34.0%", "20.9%", "13.5%", "9.35%"]})
>>> laws = analysis.fit(runs)
>>> answer = analysis.predict(laws, 1e22)
>>> answer.strategy, round(answer.cer, 2), answer.status
('all', 0.07, 'ok')
>>> low, high = answer.interval
>>> low < answer.cer < high
True

`read` takes a path, a data frame, columns or rows; `fit` and all others take what `read` takes, too.
`analysis.plot(laws)` draws; `analysis.compare(laws, baseline)` and `analysis.recommend(laws, flops=1e22)` answer as the
verbs do.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.fitting.fit import Fit
    from analysis.fitting.intervals import interval
    from analysis.notebook.answers import compare, predict, recommend
    from analysis.notebook.laws import fit, plot
    from analysis.notebook.runs import read

__all__ = ["Fit", "compare", "fit", "interval", "plot", "predict", "read", "recommend"]

_HOMES = {
    "Fit": "fitting.fit",
    "compare": "notebook.answers",
    "fit": "notebook.laws",
    "interval": "fitting.intervals",
    "plot": "notebook.laws",
    "predict": "notebook.answers",
    "read": "notebook.runs",
    "recommend": "notebook.answers",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that the command starts quickly."""
    if name not in _HOMES:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}")
    return getattr(import_module(f"analysis.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
