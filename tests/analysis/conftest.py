"""Planted studies: runs.jsonl written from formulas that stand here, not in the package."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import PLANTED, SMALLEST_FLOPS, planted_cer


@pytest.fixture
def write_study(tmp_path: Path) -> Callable[..., Path]:
    """Writes DIR/runs.jsonl of a planted study and returns DIR."""

    def write(
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
        rng = np.random.default_rng(random_seed)
        folder = tmp_path / "study"
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

    return write


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of published tables; tests that need it skip where it is absent."""
    root = os.environ.get("ASR_SCALING_SHARED") or Path(__file__).parents[3] / "shared"
    data = Path(root) / "data"
    if not data.is_dir():
        pytest.skip(f"published tables are not at {data}")
    return data


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
