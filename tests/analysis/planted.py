"""The laws that studies in these tests follow, written out here and not taken from the package."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from analysis.curves.curves import Curve
from analysis.forecasting.evidence import CurveRuns, Evidence
from analysis.forecasting.outlook import Outlook
from analysis.forecasting.posterior import Posterior
from analysis.forecasting.prior import Prior
from scaling.cost.hardware import STEP_SECONDS

PLANTED = {"efin": (0.04, 0.36, 0.32), "joint": (0.045, 0.45, 0.28), "frozen_encoder": (0.20, 0.30, 0.30)}
SMALLEST_FLOPS = 1e11
STEPS_A_FLOP = {"efin": 3e-9, "joint": 1e-9, "frozen_encoder": 1e-9}


def planted_cer(strategy: str, flops: float, encoder: str = "mini-s") -> float:
    """E + a (C / 1e11)^-b, and 15 % lower with the larger encoder."""
    floor, amplitude, exponent = PLANTED[strategy]
    cer = floor + amplitude * (flops / SMALLEST_FLOPS) ** -exponent
    return cer * (0.85 if encoder == "mini-m" else 1.0)


def curve_through(
    flops: np.ndarray, errors: np.ndarray, prior: Prior, strategy: str = "s", ref_chars: float | None = None
) -> Curve:
    """A curve whose answers average laws."""
    runs = CurveRuns(flops_N=flops, errors_N=errors, counting_variance_N=np.zeros(len(flops)))
    components = Posterior(Evidence(runs), prior).components()
    outlook = Outlook(
        runs=runs, prior=prior, components=components, scale=1.0, ref_chars=ref_chars, passes=None, pooled=0
    )
    ends = {"C": (float(flops[0]), float(flops[-1]))}
    return Curve(
        strategy=strategy, encoder=None, llm=None, fit=None, calibration=None, domain=ends, notes=(), outlook=outlook
    )


def recorded(row: dict[str, Any]) -> dict[str, Any]:
    """A row with all that the trainer's runs record, so that a page shows every section."""
    return {
        **row,
        "encoder_params": {"mini-s": 1_000_000, "mini-m": 4_000_000}[row["encoder"]],
        "llm_params": 2_000_000,
        "unique_audio_seconds": row["audio_seconds"],
        "executed_flops": 1.06 * row["flops"],
        "wer": row["cer"],
        "dev_cer": row["cer"],
        "errors": round(1000 * row["cer"]),
        "ref_chars": 1000,
        "epochs": row["flops"] / 1e13,
        "hears": True,
        "hearing_nats": 1.2345,
        "hearing_low": 1.2 - row["cer"],
        "hearing_high": 1.3 + row["cer"],
        "hearing_onset_flops": 1.5e11,
        "stages": [{"name": "all", "flops": row["flops"], "steps": row["flops"] * STEPS_A_FLOP[row["strategy"]]}],
        "seconds": 1.5 * row["flops"] * STEPS_A_FLOP[row["strategy"]] * STEP_SECONDS,
        "provenance": {"device": "NVIDIA H100 80GB HBM3"},
    }


def write_planted(
    folder: Path,
    *,
    budgets: int = 8,
    decades: float = 2.5,
    seeds: int = 2,
    noise: float = 0.0,
    encoders: tuple[str, ...] = ("mini-s",),
    strategies: tuple[str, ...] = tuple(PLANTED),
    change: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda row: row,
    random_seed: int = 0,
) -> Path:
    """Write runs.jsonl of a planted study into `folder`, and return that."""
    rng = np.random.default_rng(random_seed)
    folder.mkdir(exist_ok=True)
    lines = []
    for strategy in strategies:
        for encoder in encoders:
            for budget in np.geomspace(SMALLEST_FLOPS, SMALLEST_FLOPS * 10**decades, budgets):
                for seed in range(seeds):
                    cer = planted_cer(strategy, budget, encoder) * float(np.exp(noise * rng.standard_normal()))
                    row = change(_row(strategy, encoder, float(budget), seed, cer))
                    if row is not None:
                        lines.append(json.dumps(row))
    (folder / "runs.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def _row(strategy: str, encoder: str, budget: float, seed: int, cer: float) -> dict[str, Any]:
    encoder_share = 1e10  # a fixed amount, the rest goes to the projector
    return {
        "schema": 1,
        "key": f"{strategy}-{encoder}-{budget:.4g}-{seed}",
        "study": "planted",
        "strategy": strategy,
        "encoder": encoder,
        "llm": "mini-m",
        "budget_flops": budget,
        "flops": budget,
        "cer": cer,
        "seed": seed,
        "status": "ok",
        "audio_seconds": budget / 1e8,
        "stages": [
            {"name": "encoder", "flops": encoder_share, "audio_seconds": 100.0},
            {"name": "projector", "flops": budget - encoder_share, "audio_seconds": (budget - encoder_share) / 1e8},
        ],
    }
