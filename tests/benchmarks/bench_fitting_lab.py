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
from analysis.choose import default_fit
from analysis.curves import Curve
from analysis.design import propose

SMALLEST, LARGEST, TARGET = 1e18, 1e21, 1e22
BUDGETS, SEEDS, NOISE, REDUCTION = np.geomspace(SMALLEST, LARGEST, 11), 2, 0.05, 0.10


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
    better = law(0.04, 0.36, 0.32)
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
    """A pilot of five budgets; then an even grid (8 budgets, 2 seeds), or the proposal for 60 % of the grid's FLOPs."""
    truth, pilot = law(0.04, 0.36, 0.32), np.geomspace(SMALLEST, LARGEST / 10, 5)
    grid = np.repeat(np.geomspace(SMALLEST, LARGEST, 8), 2)
    spend = 0.6 * float(grid.sum())
    widths = {"pilot": [], "even grid": [], "proposal": []}
    for index in range(sets):
        rng = np.random.default_rng([13, index])
        first = truth(pilot) * np.exp(NOISE * rng.standard_normal(len(pilot)))
        fitted = analysis.fit(columns={"C": pilot}, y=first)
        curve = Curve(strategy="planted", encoder=None, llm=None, fit=fitted, calibration=None,
                      domain={"C": (SMALLEST, float(pilot[-1]))}, notes=())  # fmt: skip
        proposal = propose(curve, TARGET, spend)
        proposed = np.repeat(list(proposal.runs), list(proposal.runs.values()))
        for name, more in (("pilot", np.array([])), ("even grid", grid), ("proposal", proposed)):
            flops = np.concatenate([pilot, more])
            y = np.concatenate([first, truth(more) * np.exp(NOISE * rng.standard_normal(len(more)))])
            low, high = analysis.fit(columns={"C": flops}, y=y).interval({"C": [TARGET]})
            widths[name].append(float(np.log(high[0] / low[0])))
    result = {
        "flops_share": 0.6,
        "median_log_width": {name: float(np.median(values)) for name, values in widths.items()},
        "last_proposal": proposal.as_dict()["runs"],
    }
    result["width_ratio"] = result["median_log_width"]["proposal"] / result["median_log_width"]["even grid"]
    print(result, flush=True)  # noqa: T201
    return result


if __name__ == "__main__":
    main()
