"""The coverage of a study's intervals, by simulation: the study is repeated on its own fitted laws.

The curve's fit is taken for the truth. Its budgets are drawn again with the noise that the fit estimated, the law is
fitted to them, and its intervals at the target are compared with the truth. The result is how often each interval held
the truth and how wide it was, before money is spent on a design.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.curves.curves import Curve
from analysis.fitting.backtest import calibrate
from analysis.fitting.intervals import interval
from scaling.errors import InputError
from scaling.scoring.interval import LEVEL

SETS = 200
"""Repetitions where no number is answers for."""

INTERVALS = ("curve_interval", "interval", "calibrated_interval")
"""The intervals of a prediction, as its document names them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Of `sets` repetitions: the share in which each interval held its truth, and its median ratio of ends.

    `curve_interval` is compared with the planted curve, the other two with one new run.
    """

    curve: Curve
    flops: float
    sets: int
    noise: float
    held: Mapping[str, float]
    width: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        """One entry of `coverage --json`."""
        return {
            "strategy": self.curve.strategy,
            "encoder": self.curve.encoder,
            "llm": self.curve.llm,
            "flops": self.flops,
            "sets": self.sets,
            "noise": self.noise,
            "level": LEVEL,
            "held": dict(self.held),
            "width": dict(self.width),
        }


def coverage(curve: Curve, flops: float, sets: int = SETS, seed: int = 0) -> Coverage:
    """Repeat the design of `curve` and predict at `flops`.

    Raises InputError where the curve has no fit with a degree of freedom.
    """
    planted = curve.fit
    if planted is None or planted.dof < 1:
        raise InputError(f"coverage: {curve.label} has too few budgets to be fitted; nothing can be repeated")
    rng = np.random.default_rng(seed)
    noise = planted.noise_scale
    truth, at = float(planted.predict({"C": [flops]})[0]), {"C": [flops]}
    middle = planted.loss.link(planted.predict(planted.columns))
    weight = np.ones(1) if curve.noise is None else curve.noise.weight(np.array([truth]))
    held: dict[str, list[bool]] = {name: [] for name in INTERVALS}
    width: dict[str, list[float]] = {name: [] for name in INTERVALS}
    for _ in range(sets):
        drawn = middle + noise * rng.standard_normal(planted.n) / np.sqrt(planted.weights)
        y = np.exp(drawn) if planted.loss.log else np.maximum(drawn, 1e-9)
        again = planted.refit(y)
        new = planted.loss.link(np.array([truth])) + noise / np.sqrt(weight) * rng.standard_normal(1)
        run = interval(again, at, kind="new_run", run_weight=weight)
        calibration = calibrate(again)
        answers = {
            "curve_interval": (interval(again, at), truth),
            "interval": (run, float((np.exp(new) if planted.loss.log else new)[0])),
        }
        if calibration is not None:
            answers["calibrated_interval"] = (calibration.widened(again, at, run), answers["interval"][1])
        for name, ((low, high), value) in answers.items():
            held[name].append(bool(low[0] <= value <= high[0]))
            width[name].append(float(high[0] / max(low[0], 1e-12)))
    return Coverage(
        curve=curve,
        flops=flops,
        sets=sets,
        noise=noise,
        held={name: float(np.mean(values)) for name, values in held.items() if values},
        width={name: float(np.median(values)) for name, values in width.items() if values},
    )
