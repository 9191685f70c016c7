"""The published Chinchilla points (240): objective and time of a fit and a thousand refits, beside public packages.

The packages `chinchilla` 0.2.0 and `simple-scaling-laws` 0.2.0 (Python 3.12 or later) run in an environment of their
own, made in .venv/others on first use (or pass an interpreter that has them with --others); without such a Python they
are left out. Needs the published points (ASR_SCALING_SHARED, or
../shared). Times are processor seconds of one thread, the best of several fits, so that a busy machine does not
decide.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from shutil import which

import numpy as np
from record import machine, write

import analysis
from analysis.fitting.bootstrap import wild_refits
from analysis.fitting.laws import CHINCHILLA

SHARED = Path(os.environ.get("ASR_SCALING_SHARED") or Path(__file__).parents[3] / "shared")
TABLE = SHARED / "data" / "epoch_chinchilla.csv"
PACKAGES = ("chinchilla==0.2.0", "simple-scaling-laws==0.2.0")
BEST_KNOWN = {"raw_ls": 0.0832038, "log_huber": 1.018275e-3}

OTHERS = """
import json, sys, tempfile, time
import numpy as np, pandas as pd, polars as pl
from chinchilla import Chinchilla
from chinchilla._metrics import log_huber
import simple_scaling_laws as laws
points = json.load(sys.stdin)
folder = tempfile.mkdtemp()
pd.DataFrame(points).to_csv(folder + "/df.csv", index=False)
two = lambda low, high: np.linspace(low, high, 2)
grid = dict(E=two(1, 2), A=two(100, 1000), B=two(100, 5000), alpha=two(0.2, 0.6), beta=two(0.2, 0.6))
fit = Chinchilla(folder, param_grid=grid, loss_fn=lambda y, p: log_huber(y, p, 1e-3), log_level=50)
start = time.process_time()
fit.fit(parallel=False)
found = [dict(tool="chinchilla 0.2.0, log-Huber, 32 of its 3,125 starts", seconds=time.process_time() - start,
              loss="log_huber", theta={k: float(v) for k, v in fit.get_params().items()})]
frame = pl.DataFrame({"training_run_id": [str(i) for i in range(len(points["N"]))], "model_size__n": points["N"],
                      "dataset_size__d": points["D"], "test_loss__cross_entropy": points["loss"]})
try:
    laws.fit(frame, n_draws=2)
    start = time.process_time()
    model = laws.fit(frame, n_draws=2)
    seconds = time.process_time() - start
    start = time.process_time()
    laws.fit(frame, n_draws=1000)
    found.append(dict(tool="simple-scaling-laws 0.2.0 (2 draws)", seconds=seconds, loss="raw_ls",
                      seconds_1000_draws=time.process_time() - start,
                      theta={k: float(v) for k, v in model.params("test_loss__cross_entropy").items()}))
except Exception as error:
    found.append(dict(tool="simple-scaling-laws 0.2.0", error=str(error)[:300]))
print("RESULT" + json.dumps(found))
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--others", help="interpreter of an environment with the public packages")
    options = parser.parse_args()
    if not TABLE.exists():
        raise SystemExit(f"skipped: {TABLE} is not there")
    points = read()
    report = {"machine": machine(), "points": len(points["loss"]), "ours": [ours(points, loss) for loss in
              ("raw_ls", "log_ls", "log_huber")],
              "others": others(points, options.others or own_environment())}  # fmt: skip
    write("fitting_speed", report)


def read() -> dict[str, list[float]]:
    with TABLE.open() as file:
        rows = sorted(csv.DictReader(file), key=lambda row: float(row["loss"]))[:-5]
    return {name: [float(row[name]) for row in rows] for name in ("C", "N", "D", "loss")}


def ours(points: dict[str, list[float]], loss: str) -> dict:
    columns = {name: np.array(points[name]) for name in ("N", "D")}
    seconds = []
    for _ in range(7):
        start = time.process_time()
        fitted = analysis.fit("chinchilla", columns, points["loss"], loss=loss)
        seconds.append(time.process_time() - start)
    draws = []
    for _ in range(3):
        start = time.process_time()
        wild_refits(fitted, draws=1000)
        draws.append(time.process_time() - start)
    result = {
        "loss": loss,
        "seconds": min(seconds),
        "objective": fitted.objective,
        "best_known": BEST_KNOWN.get(loss),
        "theta": fitted.theta,
        "starts_agreeing": f"{fitted.starts_agreeing}/{fitted.starts}",
        "seconds_1000_refits": min(draws),
    }
    print(result, flush=True)  # noqa: T201
    return result


def own_environment() -> str | None:
    """The interpreter of an environment with the public packages; None where no Python here can hold them."""
    folder = Path(sys.prefix) / "others"
    interpreter = str(folder / "bin" / "python")
    if (folder / "ready").exists():
        return interpreter
    for name in ("python3.12", "python3.13", "python3.14"):
        made = (
            subprocess.run([name, "-m", "venv", "--clear", str(folder)], capture_output=True) if which(name) else None
        )
        if made is not None and made.returncode == 0:
            subprocess.run([interpreter, "-m", "pip", "install", "-q", *PACKAGES], check=True)
            (folder / "ready").touch()
            return interpreter
    sys.stderr.write("no Python 3.12 or later: the public packages are left out\n")
    return None


def others(points: dict[str, list[float]], interpreter: str | None) -> list[dict]:
    if interpreter is None:
        return []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
    done = subprocess.run([interpreter, "-c", OTHERS], input=json.dumps(points), capture_output=True, text=True,
                          env=environment)  # fmt: skip
    if done.returncode:
        sys.stderr.write(done.stderr[-2000:])
        return []
    found = json.loads(done.stdout.rpartition("RESULT")[2])
    columns, y = {name: np.array(points[name]) for name in ("N", "D")}, np.array(points["loss"])
    for one in found:
        if set(one.get("theta", {})) == set(CHINCHILLA.names):
            value = CHINCHILLA.value(one["theta"], columns)
            residual = np.abs(np.log(y) - np.log(value))
            inside = np.minimum(residual, 1e-3)
            one["objective"] = (
                squares(one["theta"], columns, y)
                if one["loss"] == "raw_ls"
                else float((inside * (residual - inside / 2)).sum())
            )
        print(one, flush=True)  # noqa: T201
    return found


def squares(theta: dict[str, float], columns: dict[str, np.ndarray], y: np.ndarray) -> float:
    """The least squares that a package's exponents allow (it reports A and B at a scale of its own)."""
    shapes = np.stack([np.ones_like(y), columns["N"] ** -theta["alpha"], columns["D"] ** -theta["beta"]], axis=1)
    shapes /= shapes.max(0)
    return float(np.linalg.lstsq(shapes, y, rcond=None)[1][0])


if __name__ == "__main__":
    main()
