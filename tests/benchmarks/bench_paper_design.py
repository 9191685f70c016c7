"""What the design of the study `efin_paper` can tell, before it is paid: its budgets and seeds on planted laws.

Planted: CER of `joint` is 0.03 + 0.09 (C / 3e16)^-0.3 (invented), and `efin` needs half the compute for the same, or
all of it. Each run has normal noise in log CER. The usual fit and comparison then say what share of the FLOPs `efin`
saves at the largest budget: where is the 90 % interval, how often does it hold the truth, and is it above zero?
"""

import csv
import math
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from record import machine, write

from analysis.comparing.compare import compare_all
from analysis.curves.curve_fitting import fit_curves
from analysis.tables.table import read_table
from sweeps.study.study import load_study

SETS = 40
NOISES = (0.03, 0.06)
SEEDS = (3, 5)


def main() -> None:
    """Repeat the design on each planted truth and write what it told."""
    warnings.simplefilter("ignore")
    budgets = load_study("efin_paper").budgets_flops
    cells = [_cell(budgets, seeds, noise, saved) for seeds in SEEDS for noise in NOISES for saved in (0.5, 0.0)]
    write("paper_design", {"machine": machine(), "budgets_flops": budgets, "sets": SETS, "cells": cells})


def _cell(budgets: tuple[int, ...], seeds: int, noise: float, saved: float) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    ends = np.array([_saved(budgets, seeds, noise, saved, rng) for _ in range(SETS)])
    return {
        "seeds": seeds,
        "run_noise": noise,
        "flops_saved": saved,
        "median_interval": [float(end) for end in np.median(ends, axis=0)],
        "held": float(np.mean((ends[:, 0] <= saved) & (saved <= ends[:, 1]))),
        "above_zero": float(np.mean(ends[:, 0] > 0)),
    }


def _saved(
    budgets: tuple[int, ...], seeds: int, noise: float, saved: float, rng: np.random.Generator
) -> tuple[float, float]:
    """The interval of the share of FLOPs saved at the largest budget, from one set of simulated runs."""
    rows = [
        {"strategy": name, "seed": seed, "flops": flops, "cer": _joint(flops * worth) * math.exp(noise * rng.normal())}
        for name, worth in (("joint", 1.0), ("efin", 1 / (1 - saved)))
        for seed in range(seeds)
        for flops in budgets
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "runs.csv"
        with path.open("w", newline="") as out:
            writer = csv.DictWriter(out, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        table = read_table(path)
        (comparison,) = compare_all(fit_curves(table), "joint", table=table)
    return comparison.as_dict()["flops_saved_interval"]


def _joint(flops: float) -> float:
    return 0.03 + 0.09 * (flops / 3e16) ** -0.3


if __name__ == "__main__":
    main()
