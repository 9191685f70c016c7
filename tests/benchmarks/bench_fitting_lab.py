"""The simulated lab: is the better strategy picked, and do proposed runs say more than an even grid for their FLOPs?

A planted pair, the better with 10 % less error at a target ten times beyond the sweep; 44 runs (two strategies, 11
budgets, 2 seeds) with 5 % run noise; in half of the cases the curves cross inside the sweep. The oracle knows the law's
form and fits every run by scipy alone.
"""

import argparse
import math
import time

import numpy as np
from record import machine, write
from scipy.optimize import brentq, least_squares

import analysis
from analysis.curves.curves import Curve
from analysis.fitting.intervals import interval
from analysis.fitting.model_selection import default_fit
from analysis.recommending.next_runs import propose

SMALLEST, LARGEST, TARGET = 1e18, 1e21, 1e22
BUDGETS, SEEDS, NOISE, REDUCTION = np.geomspace(SMALLEST, LARGEST, 11), 2, 0.05, 0.10
PLANTED = (0.04, 0.36, 0.32)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", type=int, default=200)
    options = parser.parse_args()
    start = time.time()
    report = {
        "machine": machine(),
        "sets": options.sets,
        "pick": picks(options.sets),
        "design": designs(options.sets // 5),
    }
    write("fitting_lab", {**report, "seconds": time.time() - start})


def law(floor, amplitude, exponent):
    return lambda flops: floor + amplitude * (np.asarray(flops) / SMALLEST) ** -exponent


def planted_pair(crossing: bool):
    better = law(*PLANTED)
    if not crossing:
        return better, lambda flops: better(flops) / (1 - REDUCTION)
    middle, wanted = math.sqrt(SMALLEST * LARGEST), float(better(TARGET)) / (1 - REDUCTION)
    reducible = float(better(middle)) - 0.04

    def miss(exponent):
        return 0.04 + reducible * (TARGET / middle) ** -exponent - wanted

    exponent = brentq(miss, 0.02, 0.32)
    return better, law(0.04, reducible * (middle / SMALLEST) ** exponent, exponent)


def picks(sets: int) -> dict:
    counts, regrets = {"ours": 0, "oracle": 0}, {"ours": 0.0, "oracle": 0.0}
    for index in range(sets):
        pair = planted_pair(index % 2 == 1)
        rng = np.random.default_rng([11, index])
        asked = {"ours": [], "oracle": []}
        for truth in pair:
            y = truth(BUDGETS)[:, None] * np.exp(NOISE * rng.standard_normal((len(BUDGETS), SEEDS)))
            mean, runs = y.mean(1), np.full(len(BUDGETS), float(SEEDS))
            fitted = default_fit({"C": BUDGETS}, mean, runs, "log_ls_screened", 1.0)
            asked["ours"].append(float(fitted.predict({"C": [TARGET]})[0]))
            asked["oracle"].append(oracle(np.repeat(BUDGETS, SEEDS), y.ravel()))
        for who, values in asked.items():
            picked = int(np.argmin(values))
            counts[who] += picked == 0
            regrets[who] += float(pair[picked](TARGET) / pair[0](TARGET)) - 1.0
    result = {who: {"picked_better": counts[who] / sets, "regret": regrets[who] / sets} for who in counts}
    print(result, flush=True)  # noqa: T201
    return result


def oracle(flops, y) -> float:
    def residual(parameters):
        floor, log_amplitude, exponent = parameters
        return np.log(floor + np.exp(log_amplitude) * (flops / SMALLEST) ** -exponent) - np.log(y)

    box = ([0.0, -12.0, 1e-3], [1.0, 3.0, 3.0])
    found = [least_squares(residual, [floor, -1.0, exponent], bounds=box, xtol=1e-12, ftol=1e-12)
             for floor in (1e-4, 0.03) for exponent in (0.1, 0.3, 0.6)]  # fmt: skip
    floor, log_amplitude, exponent = min(found, key=lambda one: one.cost).x
    return floor + math.exp(log_amplitude) * (TARGET / SMALLEST) ** -exponent


def designs(sets: int) -> dict:
    """A pilot of five budgets; then an even grid (8 budgets, 2 seeds), or the proposal for 60 % of the grid's FLOPs.

    With 96 runs, with 24, and with 24 in two rounds (30 % of the FLOPs first, the rest proposed again after them). The
    error that a design leaves is that of the law linearised at the truth, which no luck of one data set blurs.
    """
    pilot = np.geomspace(SMALLEST, LARGEST / 10, 5)
    grid = np.repeat(np.geomspace(SMALLEST, LARGEST, 8), 2)
    spend = 0.6 * float(grid.sum())
    widths, errors = {"even grid": [], "96 runs": []}, {"96 runs": [], "24 runs": [], "24 runs, two rounds": []}
    for index in range(sets):
        rng = np.random.default_rng([13, index])
        first = measured(pilot, rng)
        curve = curve_of(pilot, first)
        proposed = {"96 runs": runs_of(curve, spend, 96), "24 runs": runs_of(curve, spend, 24)}
        early = runs_of(curve, 0.3 * spend, 12)
        known = np.concatenate([pilot, early])
        again = curve_of(known, np.concatenate([first, measured(early, rng)]))
        late = runs_of(again, spend - float(early.sum()), 24 - len(early))
        proposed["24 runs, two rounds"] = np.concatenate([early, late])
        for name, runs in proposed.items():
            errors[name].append(error_left(pilot, runs) / error_left(pilot, grid))
        for name, runs in (("even grid", grid), ("96 runs", proposed["96 runs"])):
            y = np.concatenate([first, measured(runs, rng)])
            low, high = interval(analysis.fit(columns={"C": np.concatenate([pilot, runs])}, y=y), {"C": [TARGET]})
            widths[name].append(float(np.log(high[0] / low[0])))
    result = {
        "flops_share": 0.6,
        "median_log_width": {name: float(np.median(values)) for name, values in widths.items()},
        "error_over_even_grid": {name: float(np.median(values)) for name, values in errors.items()},
    }
    result["width_ratio"] = result["median_log_width"]["96 runs"] / result["median_log_width"]["even grid"]
    print(result, flush=True)  # noqa: T201
    return result


def measured(flops, rng):
    return law(*PLANTED)(flops) * np.exp(NOISE * rng.standard_normal(len(flops)))


def curve_of(flops, y) -> Curve:
    fitted = analysis.fit(columns={"C": flops}, y=y)
    return Curve(strategy="planted", encoder=None, llm=None, fit=fitted, calibration=None,
                 domain={"C": (SMALLEST, float(flops.max()))}, notes=())  # fmt: skip


def runs_of(curve: Curve, spend: float, most_runs: int):
    proposal = propose(curve, TARGET, spend, most_runs)
    return np.repeat(list(proposal.runs), list(proposal.runs.values()))


def error_left(*runs) -> float:
    """The standard error of the log error at the target, in units of a run's noise."""

    def gradients(flops):
        floor, amplitude, exponent = PLANTED
        logs = np.log(np.asarray(flops) / SMALLEST)
        decay = np.exp(-exponent * logs)
        shapes = np.stack([np.ones_like(decay), decay, -amplitude * logs * decay], axis=-1)
        return shapes / (floor + amplitude * decay)[..., None]

    known, target = gradients(np.concatenate(runs)), gradients(TARGET)
    return float(np.sqrt(target @ np.linalg.solve(known.T @ known, target)))


if __name__ == "__main__":
    main()
