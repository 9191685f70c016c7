"""The coverage of a study's intervals, by simulation: the study is repeated on its own fitted laws.

The law that describes the runs is taken for the truth. The runs are drawn again with the noise that was estimated, and
the intervals at the target are compared with the truth. The result is how often each interval held the truth and how
wide it was, before money is spent on a design.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from analysis.curves.curves import Curve
from analysis.curves.predict import predict_rows
from analysis.fitting.backtest import calibrate
from analysis.fitting.fit import Fit
from analysis.forecasting.evidence import Evidence
from analysis.forecasting.posterior import Posterior
from analysis.notes import as_text
from scaling.errors import InputError
from scaling.scoring.interval import LEVEL

SETS = 200
"""Repetitions where no number is answers for."""

INTERVALS = {"curve_interval": "curve 90%", "interval": "new run 90%", "calibrated_interval": "calibrated"}
"""The intervals of a prediction by their names in JSON, each with its heading in a table."""


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

    def as_dict(self) -> dict[str, object]:
        """One entry of `coverage --json`."""
        return {
            **self.curve.names,
            "flops": self.flops,
            "sets": self.sets,
            "noise": self.noise,
            "level": LEVEL,
            "held": dict(self.held),
            "width": dict(self.width),
            "warnings": as_text(self.curve.warnings),
        }


def coverage(curve: Curve, flops: float, sets: int = SETS, seed: int = 0) -> Coverage:
    """Repeat the design of `curve` at `flops`. Raises InputError where the curve has no degree of freedom."""
    if curve.fit is None or curve.fit.dof < 1:
        raise InputError(f"coverage: {curve.label} has too few budgets to be fitted; nothing can be repeated")
    draw = np.random.default_rng(seed)
    truth = float(curve.fit.predict({"C": [flops]})[0])
    noise = curve.fit.noise_scale if curve.outlook is None else curve.outlook.predictive.noise()
    held: dict[str, list[bool]] = {name: [] for name in INTERVALS}
    width: dict[str, list[float]] = {name: [] for name in INTERVALS}
    for _ in range(sets):
        again = _law_again(curve, curve.fit, draw) if curve.outlook is None else _outlook_again(curve, curve.fit, draw)
        answer = predict_rows(again, {"C": [flops]})[0]
        new_run = truth * math.exp(noise * draw.standard_normal())
        for name, value in zip(INTERVALS, (truth, new_run, new_run), strict=True):
            ends = getattr(answer, name)
            if ends is not None:
                held[name].append(bool(ends[0] <= value <= ends[1]))
                width[name].append(float(ends[1] / max(ends[0], 1e-12)))
    return Coverage(
        curve=curve,
        flops=flops,
        sets=sets,
        noise=noise,
        held={name: float(np.mean(values)) for name, values in held.items() if values},
        width={name: float(np.median(values)) for name, values in width.items() if values},
    )


def _law_again(curve: Curve, planted: Fit, draw: np.random.Generator) -> Curve:
    """The law that was asked for, fitted to errors drawn around it."""
    middle = planted.loss.link(planted.predict(planted.columns))
    drawn = middle + planted.noise_scale * draw.standard_normal(planted.n) / np.sqrt(planted.weights)
    fitted = planted.refit(np.exp(drawn) if planted.loss.log else np.maximum(drawn, 1e-9))
    return replace(curve, fit=fitted, calibration=calibrate(fitted))


def _outlook_again(curve: Curve, planted: Fit, draw: np.random.Generator) -> Curve:
    """The outlook of runs drawn around the law that describes them."""
    assert curve.outlook is not None
    runs, scale = curve.outlook.runs, curve.outlook.scale
    noise_N = np.sqrt(curve.outlook.predictive.noise() ** 2 + runs.counting_variance_N)
    errors_N = planted.predict({"C": runs.flops_N}) / scale * np.exp(noise_N * draw.standard_normal(len(noise_N)))
    drawn = replace(runs, errors_N=errors_N)
    components = Posterior(Evidence(drawn), curve.outlook.prior).components()
    return replace(curve, outlook=replace(curve.outlook, runs=drawn, components=components))
