"""Coverage of the default 90 % interval on planted truths, beside a plain profile-F interval on the same draws.

Cells: three truths (well identified, floor barely visible, floor of zero) x points x noise, asked at 10 and 100 times
the largest budget; gains of a planted pair in both directions; points that share a trunk, as labelled points and as the
rows of a study whose seeds cut all budgets from one trunk each. `--sets` data sets a cell.

`averaged` asks the same cells of the answer that averages laws; `bench_forecasts.py` runs it.
"""

import argparse
import json
import math
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from record import machine, write
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import t as student

import analysis
from analysis.comparing.ratio import Ratio, flops_saved_interval
from analysis.curves.curve_fitting import fit_curves
from analysis.curves.forecasting_input import base_prior, forecasting_input
from analysis.fitting.intervals import interval
from analysis.forecasting.evidence import Evidence
from analysis.forecasting.interval_score import interval_score
from analysis.forecasting.outlook import Outlook
from analysis.forecasting.posterior import Posterior
from analysis.tables.seed_averaged_points import points_of
from analysis.tables.table import Table, read_table
from scaling.scoring.interval import LEVEL

TRUTHS = {"plain": (0.05, 0.35, 0.30), "weak floor": (0.03, 0.37, 0.15), "no floor": (0.0, 0.40, 0.20)}
CELLS = [(truth, n, s) for truth in ("plain", "weak floor") for n in (15, 30, 45) for s in (0.03, 0.05)]
CELLS += [("no floor", 30, 0.05)]
BEYOND = np.array([1e22, 1e23])
SHORT = {"truth": "plain", "points": 6, "noise": 0.03, "largest": 1e20, "times": (2.0, 4.0, 10.0)}
"""Six budgets over two decades, asked at multiples of the largest."""
WAYS = ("no_seeds", "seeds")
REFERENCE_SETS = 40  # the reference is slow: a plain scipy profile, a second a data set


def planted(flops, truth):
    floor, amplitude, exponent = TRUTHS[truth]
    return floor + amplitude * (flops / 1e18) ** -exponent


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=77031)
    options = parser.parse_args()
    start = time.time()
    cells = [curve_cell(*cell, options.sets, options.seed) for cell in CELLS]
    held = [share for cell in cells for share in cell["held"]]
    others = {part.__name__: part(options.sets, options.seed) for part in (gains, clusters, trunks)}
    every = held + [share for part in others.values() for cell in part.values() for share in cell["held"]]
    report = {
        "machine": machine(),
        "sets": options.sets,
        "cells": cells,
        "mean": float(np.mean(held)),
        "smallest": min(held),
        "significantly_below_0.88": holm([one_sided(share, options.sets) for share in held]),
        "significantly_below_0.88_with_gains_and_trunks": holm([one_sided(share, options.sets) for share in every]),
        "score_ratio_to_reference": float(np.mean([cell["score_ratio"] for cell in cells])),
        **others,
        "seconds": time.time() - start,
    }
    write("fitting_coverage", report)


def curve_cell(truth: str, n: int, noise: float, sets: int, seed: int) -> dict:
    rng = np.random.default_rng([seed, n, int(1000 * noise), list(TRUTHS).index(truth)])
    flops, asked = np.geomspace(1e18, 1e21, n), planted(BEYOND, truth)
    held, held_new, scores, ours_scores, reference_scores = np.zeros(2), np.zeros(2), [], [], []
    for index in range(sets):
        y = planted(flops, truth) * np.exp(noise * rng.standard_normal(n))
        fitted = analysis.fit(columns={"C": flops}, y=y)
        low, high = interval(fitted, {"C": BEYOND})
        held += (low <= asked) & (asked <= high)
        scores.append(interval_score(low[1], high[1], asked[1], LEVEL))
        new = asked * np.exp(noise * rng.standard_normal(2))
        low_new, high_new = interval(fitted, {"C": BEYOND}, kind="new_run")
        held_new += (low_new <= new) & (new <= high_new)
        if index < min(sets, REFERENCE_SETS):
            ours_scores.append(scores[-1])
            reference_scores.append(interval_score(*reference_interval(flops, y, BEYOND[1]), asked[1], LEVEL))
    cell = {
        "truth": truth,
        "points": n,
        "noise": noise,
        "held": (held / sets).tolist(),
        "held_new_run": (held_new / sets).tolist(),
        "score_100x": float(np.mean(scores)),
        "score_ratio": float(np.mean(ours_scores) / np.mean(reference_scores)),
    }
    print(cell, flush=True)  # noqa: T201
    return cell


def reference_interval(flops, y, at):
    """A plain profile-F interval with scipy alone: nested one-dimensional searches, no gradient, no shared code."""
    z, logs = np.log(flops / at), np.log(y)

    def best_floor(value, exponent):
        decay = np.exp(-exponent * z)
        found = minimize_scalar(
            lambda floor: ((logs - np.log(floor + (value - floor) * decay)) ** 2).sum(),
            bounds=(0.0, value), method="bounded", options={"xatol": 1e-9},
        )  # fmt: skip
        return min(found.fun, ((logs - np.log(value * decay)) ** 2).sum())

    def profile(log_value):
        value = math.exp(log_value)
        grid = np.geomspace(0.01, 2.0, 25)
        costs = [best_floor(value, exponent) for exponent in grid]
        k = int(np.argmin(costs))
        ends = (grid[max(k - 1, 0)], grid[min(k + 1, len(grid) - 1)])
        found = minimize_scalar(
            lambda exponent: best_floor(value, exponent), bounds=ends, method="bounded", options={"xatol": 1e-5}
        )
        return min(found.fun, min(costs))

    middle = minimize_scalar(profile, bounds=(math.log(y.min()) - 2.0, math.log(y.min()) + 0.3), method="bounded")
    dof = len(y) - 3
    cut = middle.fun * (1.0 + student.ppf(0.95, dof) ** 2 / dof)
    low = middle.x - 0.05
    while profile(low) < cut and low > middle.x - 6.0:
        low -= 0.2
    high = middle.x + 0.05
    while profile(high) < cut:
        high += 0.2
    ends = [brentq(lambda v: profile(v) - cut, *pair, xtol=1e-3) if profile(low) >= cut or pair[0] == middle.x else low
            for pair in ((low, middle.x), (middle.x, high))]  # fmt: skip
    return math.exp(ends[0]), math.exp(ends[1])


def gains(sets: int, seed: int) -> dict:
    """A planted pair: error saved at equal FLOPs, FLOPs saved at equal error, at the largest budget and 10x beyond."""
    pair = (lambda c: 0.04 + 0.32 * (c / 1e18) ** -0.32, lambda c: 0.045 + 0.36 * (c / 1e18) ** -0.30)
    flops, held = np.geomspace(1e18, 1e21, 20), {}
    for at in (1e21, 1e22):
        level = pair[1](at)
        needed = brentq(lambda log_c, level=level: pair[0](math.exp(log_c)) - level, math.log(1e17), math.log(1e27))
        truths = (pair[0](at) / pair[1](at), 1.0 - math.exp(needed) / at)
        counts = np.zeros(2)
        for index in range(sets):
            rng = np.random.default_rng([seed, 7, index])
            fits = [analysis.fit(columns={"C": flops}, y=law(flops) * np.exp(0.05 * rng.standard_normal(20)))
                    for law in pair]  # fmt: skip
            ratio = Ratio(first=fits[0], second=fits[1])
            low, high = ratio.ends(at, at, LEVEL)
            least, most = flops_saved_interval(ratio, at, LEVEL)
            counts += [math.exp(low) <= truths[0] <= math.exp(high), least <= truths[1] <= most]
        held[f"{at:.0e}"] = {"quantities": ["cer_reduction", "flops_saved"], "held": (counts / sets).tolist()}
    print(held, flush=True)  # noqa: T201
    return held


def clusters(sets: int, seed: int) -> dict:
    """A shared effect of 4 %, own noise of 3 %: neighbouring budgets on one trunk, and seeds with one trunk each."""
    held = {}
    for name, count, size in (("neighbours", 6, 5), ("neighbours", 10, 3), ("seeds", 3, 8), ("seeds", 5, 6)):
        flops = np.geomspace(1e18, 1e21, count * size)
        label = np.repeat(np.arange(count), size)
        if name == "seeds":
            flops = np.tile(np.geomspace(1e18, 1e21, size), count)
        asked, hits, ignored = planted(BEYOND, "plain"), np.zeros(2), np.zeros(2)
        for index in range(sets):
            rng = np.random.default_rng([seed, 9, count, index])
            noise = 0.04 * rng.standard_normal(count)[label] + 0.03 * rng.standard_normal(len(flops))
            y = planted(flops, "plain") * np.exp(noise)
            for labels, counts in ((label.tolist(), hits), (None, ignored)):
                low, high = interval(analysis.fit(columns={"C": flops}, y=y, clusters=labels), {"C": BEYOND})
                counts += (low <= asked) & (asked <= high)
        held[f"{name} {count} x {size}"] = {"held": (hits / sets).tolist(), "ignoring": (ignored / sets).tolist()}
    print(held, flush=True)  # noqa: T201
    return held


def trunks(sets: int, seed: int) -> dict:
    """The same noise in the rows of a study: every seed cuts its eight budgets from one trunk; at the largest budget
    and 10 and 100 times beyond.
    """
    held, flops, asked = {}, np.geomspace(1e18, 1e21, 8), np.append(1e21, BEYOND)
    file = Path(tempfile.mkdtemp()) / "runs.jsonl"
    for truth in ("plain", "weak floor"):
        for seeds in (2, 3, 5):
            hits, wanted = np.zeros(3), planted(asked, truth)
            for index in range(sets):
                rng = np.random.default_rng([seed, 13, list(TRUTHS).index(truth), seeds, index])
                noise = 0.04 * rng.standard_normal((seeds, 1)) + 0.03 * rng.standard_normal((seeds, len(flops)))
                cer = planted(flops, truth) * np.exp(noise)
                rows = [
                    {"flops": flops[j], "budget_flops": flops[j], "cer": cer[i, j], "seed": i, "cluster": f"trunk {i}"}
                    for i in range(seeds) for j in range(len(flops))
                ]  # fmt: skip
                file.write_text("".join(json.dumps(row) + "\n" for row in rows))
                (curve,) = fit_curves(read_table(file)).curves
                low, high = interval(curve.fit, {"C": asked})
                hits += (low <= wanted) & (wanted <= high)
            held[f"{truth}, {seeds} seeds x {len(flops)}"] = {"held": (hits / sets).tolist()}
    print(held, flush=True)  # noqa: T201
    return held


def averaged(sets):
    """Laws that are true: how often the intervals hold, and how wide they are beside the profile interval of the law
    that was planted. A row may name a seed of its own, or no row names one.
    """
    cells = [averaged_cell(truth, np.geomspace(1e18, 1e21, n), noise, BEYOND, sets) for truth, n, noise in CELLS]
    largest = SHORT["largest"]
    flops = np.geomspace(largest / 1e2, largest, SHORT["points"])
    short = averaged_cell(SHORT["truth"], flops, SHORT["noise"], largest * np.array(SHORT["times"]), sets)
    summary = {way: {kind: spread([share for cell in cells for share in cell[way][f"{kind}_held"]])
                     for kind in ("curve", "new_run")} for way in WAYS}  # fmt: skip
    return {"sets": sets, **summary, "cells": cells, "short": short}


def spread(held):
    return {"mean": np.mean(held), "smallest": min(held), "below_0.88": sum(share < 0.88 for share in held)}


def averaged_cell(truth, flops, noise, asked, sets):
    rng = np.random.default_rng([77031, 17, len(flops), int(1000 * noise), list(TRUTHS).index(truth)])
    ends, curve, runs = defaultdict(list), planted(asked, truth), []
    for _ in range(sets):
        errors = planted(flops, truth) * np.exp(noise * rng.standard_normal(len(flops)))
        runs.append(curve * np.exp(noise * rng.standard_normal(len(asked))))
        rows = [{"flops": x, "cer": y} for x, y in zip(flops, errors, strict=True)]
        for way in WAYS:
            named = [{**row, "seed": i} for i, row in enumerate(rows)] if way == "seeds" else rows
            said = outlook(*observed(named), base_prior(one_curve(named), rates=True))
            ends[way, "curve"].append(said.ends(asked, LEVEL))
            ends[way, "new_run"].append(said.run_ends(asked, LEVEL))
        fit = analysis.fit(law="power_floor", columns={"C": flops}, y=errors)
        for kind in ("curve", "new_run"):
            ends["profile", kind].append(interval(fit, {"C": asked}, kind=kind))
    low_high = {key: np.maximum(np.array(pairs), 1e-12) for key, pairs in ends.items()}
    cell = {"truth": truth, "points": len(flops), "noise": noise, "times": asked / flops[-1]}
    for way in (*WAYS, "profile"):
        cell[way] = {}
        for kind, wanted in (("curve", curve), ("new_run", np.array(runs))):
            pairs, old = low_high[way, kind], low_high["profile", kind]
            cell[way][f"{kind}_held"] = np.mean((pairs[:, 0] <= wanted) & (wanted <= pairs[:, 1]), axis=0)
            width, old_width = (np.median(np.log(both[:, 1] / both[:, 0]), axis=0) for both in (pairs, old))
            cell[way][f"{kind}_width"], cell[way][f"{kind}_width_ratio"] = width, width / old_width
    print(truth, len(flops), noise, *(cell[way]["curve_held"] for way in WAYS), flush=True)  # noqa: T201
    return cell


def observed(rows):
    """The observations and the evidence of a table that holds one curve."""
    table = one_curve(rows)
    seen = forecasting_input(table, points_of(table)[0], rates=True)
    return seen, Evidence(seen.runs)


def one_curve(rows):
    return Table(path=Path("planted"), rows=tuple(rows), lines=tuple(range(len(rows))))


def outlook(seen, evidence, prior):
    """The outlook that `fit` would make of these observations under another prior."""
    return Outlook(
        runs=seen.runs, prior=prior, components=Posterior(evidence, prior).components(),
        scale=seen.scale, ref_chars=seen.ref_chars, passes=seen.passes, pooled=0,
    )  # fmt: skip


def one_sided(share: float, sets: int) -> float:
    """The chance of a share this low or lower if 0.88 held (normal approximation)."""
    return 0.5 * math.erfc((0.88 - share) / math.sqrt(0.88 * 0.12 / sets) / math.sqrt(2.0))


def holm(chances: list[float]) -> int:
    """How many cells lie significantly below, one-sided at 1 % over all of them."""
    below = 0
    for rank, chance in enumerate(sorted(chances)):
        if chance > 0.01 / (len(chances) - rank):
            break
        below += 1
    return below


if __name__ == "__main__":
    main()
