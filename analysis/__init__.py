"""What the results say. `analysis.fit(...)` is the door for notebooks; it is imported on first use.

>>> import numpy as np, analysis
>>> flops = np.geomspace(1e18, 1e21, 12)
>>> fitted = analysis.fit(law="power_floor", columns={"C": flops}, y=0.04 + 0.3 * (flops / 1e18) ** -0.25)
>>> round(fitted.theta["b"], 6), fitted.status
(0.25, 'ok')
>>> float(fitted.predict({"C": [1e23]})[0].round(6))
0.05687
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.fitting.fit import Fit, fit

__all__ = ["Fit", "fit"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        import importlib

        return getattr(importlib.import_module("analysis.fitting.fit"), name)
    raise AttributeError(f"module 'analysis' has no attribute {name!r}")
