"""Real tables: the two largest budgets forecast from the smaller ones, by the plain and the calibrated interval.

Set by set at its full length; and every table again cut short at each of its budgets, where the rule that widens the
interval is judged by tables that did not choose it: for each publisher, the rule that kept 90 % at the least width on
the tables of all others is asked about theirs. Speech tables of three to five sizes are too short to cut and forecast.

Needs the published isoFLOP tables (environment variable ASR_SCALING_SHARED, or ../shared beside the repository).
"""

import csv
import math
import os
from collections import defaultdict
from itertools import product
from pathlib import Path

import numpy as np
from record import machine, write

import analysis
from analysis.fitting.backtest import LARGEST_FACTOR, levels, windows
from analysis.fitting.intervals import interval
from analysis.fitting.student_t import t_quantile

SHARED = Path(os.environ.get("ASR_SCALING_SHARED") or Path(__file__).parents[3] / "shared")
DATA = SHARED / "data"
LOSSES = ("log_ls", "log_huber", "raw_ls")
FEWEST_LEVELS = 5
OURS = ("half", "rms", 1, LARGEST_FACTOR)
"""The rule of the backtest: windows used, their error, degrees of freedom beyond their number, the cap."""
RULES = [OURS, *product(("half", "all", "last two"), ("rms", "largest"), (0, 1, 2, 3, 5), (2.0, 2.5, 3.0))]


def main() -> None:
    if not DATA.exists():
        raise SystemExit(f"skipped: {DATA} is not there")
    cases = [case for loss in LOSSES for name, table in tables().items() for case in forecasts(loss, name, table)]
    whole = [case for case in cases if case["whole"]]
    write(
        "fitting_forecast",
        {
            "machine": machine(),
            **{loss: summary([case for case in whole if case["loss"] == loss]) for loss in LOSSES},
            "chosen_without_the_publisher": {
                loss: left_out([case for case in cases if case["loss"] == loss]) for loss in LOSSES
            },
        },
    )


def tables() -> dict[str, np.ndarray]:
    """N, D, loss and budget of every set without its marked outliers, the digitised points and the raw export."""
    found = defaultdict(list)
    for row in rows("open_athena_isoflops.csv"):
        if row["outlier"] != "True":
            found[row["experiment"]].append([float(row[key]) for key in ("params", "tokens", "loss", "budget")])
    points = [[float(row[key]) for key in ("N", "D", "loss", "C")] for row in rows("epoch_chinchilla.csv")]
    found["epochai_chinchilla__digitised"] = sorted(points, key=lambda point: point[2])[:-5]
    for row in rows("marin_isoflop_raw.csv"):
        keys = ("parameter_count", "throughput/total_tokens", "eval/paloma/macro_loss", "throughput/total_gflops")
        if all(row[key] for key in keys):
            found[f"marin_202603__raw_{row['dataset']}"].append([float(row[key]) for key in keys])
    return {name: np.array(points) for name, points in found.items()}


def rows(name: str) -> list[dict[str, str]]:
    """Rows of a published table; lines that start with # are remarks."""
    with (DATA / name).open() as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def speech_curves():
    """Error shares by size, of every system and test."""
    curves = defaultdict(list)
    for file, system, size in (
        ("librispeech_zipformer_model_scaling", "decoding", lambda row: float(row["params"]) * float(row["epochs"])),
        ("olmoasr_whisper_model_scaling", "model", lambda row: 1e6 * float(row["params_millions"])),
        ("wenetspeech_data_scaling_cer", "decoding", lambda row: float(row["train_hours_nominal"])),
    ):
        for row in rows(f"{file}.csv"):
            for test in (name for name in row if name.endswith(("_wer", "_cer"))):
                name = " ".join((file.split("_")[0], row[system].split("-")[0], test))
                curves[name].append((size(row), float(row[test]) / 100.0))
    return curves


def lowest_losses():
    lowest = defaultdict(dict)
    for row in rows("open_athena_isoflops.csv"):
        if row["outlier"] != "True":
            own, budget = lowest[row["experiment"]], float(row["budget"])
            own[budget] = min(own.get(budget, np.inf), float(row["loss"]))
    return {name: list(own.items()) for name, own in lowest.items()}


def forecasts(loss: str, name: str, table: np.ndarray) -> list[dict]:
    """One case for the whole table and one for each shorter: errors of the two largest budgets in half-widths."""
    level = levels(fitted(loss, table))
    cases = []
    for last in range(int(level.max()), FEWEST_LEVELS - 2, -1):
        train, test = table[level < last - 1], table[(level >= last - 1) & (level <= last)]
        fit = fitted(loss, train)
        cuts = windows(fit)
        if not cuts:
            continue
        at = {"N": test[:, 0], "D": test[:, 1]}
        low, high = (fit.loss.link(end) for end in interval(fit, at, kind="new_run"))
        middle = fit.loss.link(fit.predict(at))
        error = fit.loss.link(test[:, 2]) - middle
        shares = np.abs(error) / np.where(error > 0.0, high - middle, middle - low)
        cases.append({"loss": loss, "set": name, "whole": last == level.max(), "inside": [cut.shares for cut in cuts],
                      "shares": shares, "error": float(np.sqrt(np.mean(error**2)))})  # fmt: skip
    return cases


def fitted(loss: str, table: np.ndarray) -> "analysis.Fit":
    return analysis.fit("chinchilla", {"N": table[:, 0], "D": table[:, 1]}, table[:, 2], loss=loss)


def factor(case: dict, rule: tuple) -> float:
    which, statistic, dof, largest = rule
    inside = case["inside"]
    used = {"half": inside[-max(2, (len(inside) + 1) // 2) :], "all": inside, "last two": inside[-2:]}[which]
    each = [float(np.mean(shares**2)) for shares in used]
    size = math.sqrt(np.mean(each) if statistic == "rms" else max(each))
    return min(max(1.0, size * t_quantile(0.95, len(used) + dof)), largest)


def judged(cases: list[dict], rule: tuple) -> dict:
    """Mean share held by the plain and the widened interval and mean width over plain; also where plain holds half."""
    factors = [factor(case, rule) for case in cases]
    plain = np.array([np.mean(case["shares"] <= 1.0) for case in cases])
    wide = np.array([np.mean(case["shares"] <= times) for case, times in zip(cases, factors, strict=True)])
    hard = plain <= 0.5
    found = {"cases": len(cases), "plain_held": plain.mean(), "calibrated_held": wide.mean(),
             "width_ratio": float(np.mean(factors)), "smallest_calibrated_held": wide.min()}  # fmt: skip
    if hard.any():
        found |= {"hard_cases": int(hard.sum()), "hard_plain_held": plain[hard].mean(),
                  "hard_calibrated_held": wide[hard].mean(),
                  "hard_width_ratio": np.array(factors)[hard].mean()}  # fmt: skip
    return {key: round(float(value), 4) for key, value in found.items()}


def summary(cases: list[dict]) -> dict:
    """Every table at its full length, set by set."""
    sets = [{"set": case["set"], "error": round(case["error"], 5), **judged([case], OURS)} for case in cases]
    for one in sets:
        print(cases[0]["loss"], one, flush=True)  # noqa: T201
    return {"sets": sets, **judged(cases, OURS)}


def left_out(cases: list[dict]) -> list[dict]:
    """For each publisher, its tables by the rule that the others choose, and by ours."""
    found = []
    for publisher in sorted({publisher_of(case) for case in cases}):
        own = [case for case in cases if publisher_of(case) == publisher]
        others = [case for case in cases if publisher_of(case) != publisher]
        enough = [rule for rule in RULES if balanced(others, rule)["calibrated_held"] >= 0.9]
        chosen = min(enough, key=lambda rule: balanced(others, rule)["width_ratio"])
        found.append({"publisher": publisher, "rule": chosen, **judged(own, chosen), "by_our_rule": judged(own, OURS)})
        print(cases[0]["loss"], found[-1], flush=True)  # noqa: T201
    return found


def balanced(cases: list[dict], rule: tuple) -> dict:
    """Means over publishers, each counted once."""
    publishers = sorted({publisher_of(case) for case in cases})
    each = [judged([case for case in cases if publisher_of(case) == one], rule) for one in publishers]
    return {key: float(np.mean([one[key] for one in each])) for key in ("calibrated_held", "width_ratio")}


def publisher_of(case: dict) -> str:
    return case["set"].partition("__")[0]


if __name__ == "__main__":
    main()
