"""A reference study whose truth is known: rows as its runs could have left them."""

import json
from pathlib import Path


def planted_row(strategy: str, budget: float, seed: int, cer: float, study: str = "reference") -> dict:
    """A row that a run of the study could have left."""
    node, charged = f"{strategy}-{budget:g}-{seed}", int(budget)
    stage = {"name": strategy, "objective": "llm", "trains": {"projector": 0.003}, "node": node, "flops": charged}
    return {
        "schema": "asr-scaling/run-1", "key": f"{study}-{node}", "study": study, "strategy": strategy, "seed": seed,
        "budget_flops": charged, "nodes": [node], "encoder": "mini-s", "llm": "mini-s", "train_hours": 36.0,
        "cluster": f"{strategy}{seed}", "status": "ok", "flops": charged, "executed_flops": int(1.1 * budget),
        "cache_credited_flops": charged, "cer": cer, "dev_cer": cer, "errors": int(1e4 * cer), "ref_chars": 10_000,
        "test_digest": study, "stages": [stage | {"audio_seconds": budget / 1e8}],
    }  # fmt: skip


BUDGETS = (1e11, 1e12, 3.2e12, 1e13)


def planted(strategy: str, budget: float, seed: int) -> float:
    """`efin` has a third less error than `joint` at every budget, and seeds differ by 1 %."""
    return {"efin": 0.2, "joint": 0.3, "frozen_encoder": 0.4}[strategy] * (budget / 1e11) ** -0.3 * (1 + 0.01 * seed)


def write(file: Path, rows: list[dict]) -> None:
    """A block of the study."""
    file.write_text("".join(json.dumps(each) + "\n" for each in rows))
