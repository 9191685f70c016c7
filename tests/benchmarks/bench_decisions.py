"""Simulated labs: is the better strategy picked, are gains claimed where there are none, do proposed runs pay?

pick      a planted pair, the better with 10 % less error ten times beyond the sweep, in half of the cases crossing
          inside it; the oracle knows the law's form and fits every run by scipy alone
regret    four strategies, four budgets, one seed, asked at 3 times the largest: error of the pick over the best one's
claims    two strategies that are equal, with one diverged run: intervals that exclude zero, and how many silently
shares    six divisions of a budget, four budgets, one seed: the gain promised and the gain there is
design    24 proposed runs for .8 of the FLOPs of an even grid of 24: the width left at the target, on planted laws and
          on learning curves of image classifiers (../shared), whose measured points are the runs to choose from
"""

import argparse
import csv
import math
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
from bench_fitting_forecast import DATA
from planted import curve_through
from record import machine, write
from scipy.optimize import brentq, least_squares

from analysis.comparing.compare import compare_all
from analysis.curves.curve_fitting import fit_curves
from analysis.curves.curves import rank
from analysis.forecasting.prior import ONE_TRAINING, SEPARATE_RUNS
from analysis.recommending.best_shares import BestShares, best_shares
from analysis.recommending.next_runs import Information, best_counts, even_counts, propose
from analysis.tables.table import Table
from scaling.scoring.interval import LEVEL

SMALLEST, LARGEST, TARGET = 1e18, 1e21, 1e22
BUDGETS, SEEDS, NOISE, REDUCTION = np.geomspace(SMALLEST, LARGEST, 11), 2, 0.05, 0.10
PLANTED = (0.04, 0.36, 0.32)
STAGES, BEST = ("encoder", "projector", "together"), (0.35, 0.15, 0.5)
DIVISIONS = ((0.2, 0.2, 0.6), (0.6, 0.1, 0.3), (0.1, 0.1, 0.8), (0.3, 0.4, 0.3), (0.4, 0.05, 0.55), (0.34, 0.33, 0.33))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=60)
    options = parser.parse_args()
    start = time.time()
    report = {"machine": machine(), "sets": options.sets}
    for part in (pick, regret, claims, shares, design):
        report[part.__name__] = part(options.sets)
        print(part.__name__, report[part.__name__], flush=True)  # noqa: T201
    write("decisions", {**report, "seconds": time.time() - start})


def law(floor, amplitude, exponent):
    return lambda flops: floor + amplitude * (np.asarray(flops) / SMALLEST) ** -exponent


def table(rows) -> Table:
    return Table(path=Path(), rows=tuple(rows), lines=tuple(range(len(rows))))


def study(laws, budgets, seeds, noise, draw) -> list[dict]:
    return [{"strategy": name, "flops": flops, "budget_flops": flops, "seed": seed,
             "cer": float(truth(flops)) * math.exp(noise * draw.standard_normal())}
            for name, truth in laws.items() for flops in budgets.tolist() for seed in range(seeds)]  # fmt: skip


def pick(sets: int) -> dict:
    counts, regrets = {"ours": 0, "oracle": 0}, {"ours": 0.0, "oracle": 0.0}
    for index in range(sets):
        pair = dict(zip("ab", planted_pair(index % 2 == 1), strict=True))
        rows = study(pair, BUDGETS, SEEDS, NOISE, np.random.default_rng([11, index]))
        curves = fit_curves(table(rows)).curves
        of_each = [np.array([(row["flops"], row["cer"]) for row in rows if row["strategy"] == name]).T for name in pair]
        asked = {"ours": [curve.expected_error(TARGET) for curve in curves], "oracle": [oracle(*of) for of in of_each]}
        for who, values in asked.items():
            picked = "ab"[int(np.argmin(values))]
            counts[who] += picked == "a"
            regrets[who] += float(pair[picked](TARGET) / pair["a"](TARGET)) - 1.0
    return {who: {"picked_better": counts[who] / sets, "regret": round(regrets[who] / sets, 4)} for who in counts}


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


def oracle(flops, y) -> float:
    def residual(parameters):
        floor, log_amplitude, exponent = parameters
        return np.log(floor + np.exp(log_amplitude) * (flops / SMALLEST) ** -exponent) - np.log(y)

    box = ([0.0, -12.0, 1e-3], [1.0, 3.0, 3.0])
    found = [least_squares(residual, [floor, -1.0, exponent], bounds=box, xtol=1e-12, ftol=1e-12)
             for floor in (1e-4, 0.03) for exponent in (0.1, 0.3, 0.6)]  # fmt: skip
    floor, log_amplitude, exponent = min(found, key=lambda one: one.cost).x
    return floor + math.exp(log_amplitude) * (TARGET / SMALLEST) ** -exponent


def regret(sets: int) -> dict:
    """Floors within a factor of 1.5, amplitudes and exponents 20 % apart; also of the lowest at the largest budget."""
    regrets, asked = defaultdict(list), 3e19
    for index in range(sets):
        draw = np.random.default_rng([3, index])
        base = draw.uniform(0.0, 0.05), draw.uniform(0.2, 0.8), draw.uniform(0.15, 0.5)
        laws = {f"s{k}": law(base[0] * draw.uniform(0.5, 1.5), *(np.array(base[1:]) * np.exp(draw.normal(0.0, 0.2, 2))))
                for k in range(4)}  # fmt: skip
        rows = study(laws, np.geomspace(SMALLEST, 10 * SMALLEST, 4), 1, NOISE, draw)
        curves = fit_curves(table(rows)).curves
        truths = {name: float(truth(asked)) for name, truth in laws.items()}
        picks = {"expected error": min(curves, key=lambda curve: rank(curve, asked)).strategy,
                 "median": min(curves, key=lambda curve: curve.cer(asked)).strategy,
                 "lowest at the largest budget": min(rows[3::4], key=lambda row: row["cer"])["strategy"]}  # fmt: skip
        for rule, name in picks.items():
            regrets[rule].append(truths[name] / min(truths.values()) - 1.0)
    return {rule: {"mean": round(float(np.mean(values)), 4),
                   "standard_error": round(float(np.std(values) / sets**0.5), 4)}
            for rule, values in regrets.items()}  # fmt: skip


def claims(sets: int) -> list[dict]:
    found = []
    for budgets, seeds, diverged in ((5, 2, True), (5, 1, True), (4, 3, True), (4, 4, True), (5, 2, False)):
        counted = {"budgets": budgets, "seeds": seeds, "diverged": diverged, "claims": 0, "silent": 0, "set_aside": 0}
        for index in range(sets):
            draw = np.random.default_rng([4, index])
            truth = law(draw.uniform(0.0, 0.04), draw.uniform(0.2, 0.5), draw.uniform(0.2, 0.45))
            same = {"joint": truth, "efin": truth}
            rows = study(same, np.geomspace(SMALLEST, 100 * SMALLEST, budgets), seeds, NOISE, draw)
            if diverged:
                rows[int(draw.integers(len(rows)))]["cer"] = float(draw.uniform(0.95, 1.3))
            curves = fit_curves(table(rows))
            (comparison,) = compare_all(curves, "joint", None, table(rows))
            low, high = comparison.cer_reduction_interval
            claimed = low > 0.0 or high < 0.0
            counted["claims"] += claimed
            counted["silent"] += claimed and diverged and not any(n.code == "failed_run" for n in comparison.warnings)
            counted["set_aside"] += len(curves.set_aside)
        found.append(counted)
    return found


def shares(sets: int) -> dict:
    promised, real, held = [], [], []
    for index in range(sets):
        draw = np.random.default_rng([8, index])
        rows = [{"strategy": f"d{k}", "encoder": "e", "llm": "l", "flops": flops, "budget_flops": flops, "seed": 0,
                 "stages": [{"name": stage, "objective": "llm", "trains": {stage: 1e-3}, "flops": flops * share}
                            for stage, share in zip(STAGES, division, strict=True)],
                 "cer": 0.4 * (flops / 1e11) ** -0.3 * math.exp(lost(division) + NOISE * draw.standard_normal())}
                for k, division in enumerate(DIVISIONS) for flops in np.geomspace(1e11, 1e12, 4)]  # fmt: skip
        own = next(curve for curve in fit_curves(table(rows)).curves if curve.strategy == "d0")
        found = best_shares(table(rows), own, 3e12)
        assert isinstance(found, BestShares)
        truth = 1.0 - math.exp(lost([found.shares[stage] for stage in STAGES]) - lost(DIVISIONS[0]))
        promised.append(found.cer_reduction)
        real.append(truth)
        held.append(found.cer_reduction_interval[0] <= truth <= found.cer_reduction_interval[1])
    return {"promised": float(np.mean(promised)), "real": float(np.mean(real)), "held": float(np.mean(held))}


def lost(division) -> float:
    """Of the log error: a parabola in the log ratios to the last stage."""
    ratios, best = (np.log(np.array(each[:-1]) / each[-1]) for each in (division, BEST))
    first, second = ratios - best
    return 0.25 * (0.06 * first**2 + 0.03 * second**2 + 0.02 * first * second)


def design(sets: int) -> dict:
    return {"share_of_flops": 0.8, "planted": planted_designs(sets // 3), "real": real_designs()}


def planted_designs(sets: int) -> list[dict]:
    pilot, truth, found = np.geomspace(SMALLEST, LARGEST / 10, 5), law(*PLANTED), []
    for spend in (2e21, 6e21, 2e22):
        widths = defaultdict(list)
        for index in range(sets):
            draw = np.random.default_rng([14, index])

            def measured(flops, draw=draw):
                return truth(flops) * np.exp(NOISE * draw.standard_normal(len(flops)))

            first = measured(pilot)
            proposal = propose(curve_through(pilot, first, SEPARATE_RUNS), TARGET, 0.8 * spend, 24)
            grid = np.geomspace(SMALLEST, min(spend, TARGET), 24)
            designs = {"even": np.repeat(grid, even_counts(grid, spend)),
                       "proposed": np.repeat(list(proposal.runs), list(proposal.runs.values()))}  # fmt: skip
            for name, runs in designs.items():
                widths[name].append(width([pilot, runs], [first, measured(runs)], SEPARATE_RUNS))
        found.append({"spend": spend, **{name: float(np.median(values)) for name, values in widths.items()}})
    return found


def real_designs() -> dict | str:
    file = DATA / "learning_curves" / "vision_error_rates.csv"
    if not file.exists():
        return f"skipped: {file.name} is not there"
    curves, ratios = defaultdict(list), []
    for row in csv.DictReader(file.open()):
        curves[row["task"], row["model"]].append((float(row["seen"]), float(row["error"])))
    for points in curves.values():
        flops, errors = np.array(sorted(points)).T
        top = flops[-1] / 4
        pilot = nearest(flops, np.geomspace(flops[0], top / 8, 4))
        pool = np.array([i for i in range(len(flops)) if i not in pilot and flops[pilot[0]] < flops[i] <= 1.01 * top])
        if len(pilot) < 4 or len(pool) < 24:
            continue
        outlook = curve_through(flops[pilot], errors[pilot], ONE_TRAINING).outlook
        known = Information.of(outlook, float(flops[-1]), flops[pool])
        once = replace(known, budgets_KK=known.budgets_KK + np.diag(known.noise_K), noise_K=np.full(len(pool), 1e-9))
        even = nearest(flops[pool], np.geomspace(flops[pool[0]], flops[pool[-1]], 24))
        counts = best_counts(once, flops[pool], 0.8 * float(flops[pool][even].sum()), 24)
        widths = [width([flops[pilot], flops[pool][chosen]], [errors[pilot], errors[pool][chosen]], ONE_TRAINING,
                        float(flops[-1])) for chosen in (np.flatnonzero(counts), even)]  # fmt: skip
        ratios.append(widths[0] / widths[1])
    return {"curves": len(ratios), "median_ratio_of_widths": float(np.median(ratios)), "mean": float(np.mean(ratios))}


def nearest(values, wanted):
    return np.unique([int(np.argmin(np.abs(np.log(values / each)))) for each in wanted])


def width(flops, errors, prior, target=TARGET) -> float:
    """The log width of the interval of the curve at the target."""
    order = np.argsort(np.concatenate(flops))
    curve = curve_through(np.concatenate(flops)[order], np.concatenate(errors)[order], prior)
    low, high = curve.ends({"C": [target]}, LEVEL)
    return float(np.log(high[0] / low[0]))


if __name__ == "__main__":
    main()
