"""What the results say: tables of runs, laws fitted to them, comparisons, recommendations, the report.
Nothing here trains or starts a run. `analysis.fit` and `analysis.interval` are for notebooks; they are imported late.

>>> import numpy as np, analysis
>>> flops = np.geomspace(1e18, 1e21, 12)
>>> fitted = analysis.fit(law="power_floor", columns={"C": flops}, y=0.04 + 0.3 * (flops / 1e18) ** -0.25)
>>> round(fitted.theta["b"], 6), fitted.status
(0.25, 'ok')
>>> float(fitted.predict({"C": [1e23]})[0].round(6))
0.05687
>>> low, high = analysis.interval(fitted, {"C": [1e23]}, kind="new_run")
>>> float(low[0].round(4)), float(high[0].round(4))
(0.0569, 0.0569)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.fitting.fit import Fit, fit
    from analysis.fitting.intervals import interval

__all__ = ["Fit", "fit", "interval"]


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that `import analysis.cli` stays quick."""
    if name not in __all__:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}")
    from analysis.fitting import fit, intervals

    return intervals.interval if name == "interval" else getattr(fit, name)
