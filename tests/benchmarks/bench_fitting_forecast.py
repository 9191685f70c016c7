"""Real tables: the two largest budgets forecast from the smaller ones, by the plain and the calibrated interval.

Needs the published isoFLOP tables (environment variable ASR_SCALING_SHARED, or ../shared beside the repository).
"""

import csv
import os
from collections import defaultdict
from pathlib import Path

import numpy as np
from record import machine, write

import analysis
from analysis.forecast import calibrate

SHARED = Path(os.environ.get("ASR_SCALING_SHARED") or Path(__file__).parents[3] / "shared")
TABLE = SHARED / "data" / "open_athena_isoflops.csv"


def main() -> None:
    if not TABLE.exists():
        raise SystemExit(f"skipped: {TABLE} is not there")
    write(
        "fitting_forecast", {"machine": machine(), **{loss: judge(loss) for loss in ("log_ls", "log_huber", "raw_ls")}}
    )


def judge(loss: str) -> dict:
    sets = [forecast(name, points, loss) for name, points in tables().items()]
    hard = [one for one in sets if one["plain_held"] <= 0.5]
    return {
        "sets": sets,
        "plain_held": float(np.mean([one["plain_held"] for one in sets])),
        "calibrated_held": float(np.mean([one["calibrated_held"] for one in sets])),
        "width_ratio": float(np.mean([one["width_ratio"] for one in sets])),
        "where_plain_holds_at_most_half": {
            "sets": len(hard),
            "plain_held": float(np.mean([one["plain_held"] for one in hard])),
            "calibrated_held": float(np.mean([one["calibrated_held"] for one in hard])),
            "smallest_calibrated_held": min(one["calibrated_held"] for one in hard),
        },
    }


def tables() -> dict[str, np.ndarray]:
    found = defaultdict(list)
    with TABLE.open() as file:
        for row in csv.DictReader(file):
            if row["outlier"] != "True":
                found[row["experiment"]].append([float(row[key]) for key in ("params", "tokens", "loss", "budget")])
    return {name: np.array(points) for name, points in found.items()}


def forecast(name: str, points: np.ndarray, loss: str) -> dict:
    last = points[:, 3] >= np.unique(points[:, 3])[-2]
    fitted = analysis.fit("chinchilla", {"N": points[~last, 0], "D": points[~last, 1]}, points[~last, 2], loss=loss)
    calibration = calibrate(fitted)
    asked, truth = {"N": points[last, 0], "D": points[last, 1]}, points[last, 2]
    plain = fitted.interval(asked, kind="new_run")
    widened = fitted.widened(asked, plain, calibration.factor)
    result = {
        "set": name,
        "forecasts": int(last.sum()),
        "error": float(np.sqrt(np.mean(np.log(truth / fitted.predict(asked)) ** 2))),
        "plain_held": held(plain, truth),
        "calibrated_held": held(widened, truth),
        "width_ratio": float(np.mean((widened[1] - widened[0]) / (plain[1] - plain[0]))),
        "plain_held_in_rollouts": calibration.held,
    }
    print(loss, result, flush=True)  # noqa: T201
    return result


def held(interval, truth) -> float:
    return float(np.mean((interval[0] <= truth) & (truth <= interval[1])))


if __name__ == "__main__":
    main()
