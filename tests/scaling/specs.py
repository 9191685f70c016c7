"""Small specs for tests of keys, ledgers and prices."""

from typing import Any

from scaling.spec import (
    DataSpec,
    LoraSpec,
    ModelSpec,
    Objective,
    Optimization,
    Part,
    Precision,
    RunSpec,
    Stage,
    StageNode,
    Strategy,
)

OPTIMIZATION = Optimization(
    batch_audio_seconds=5.0, warmup_steps=20, cooldown=0.2, beta1=0.9, beta2=0.98, weight_decay=0.01, clip_norm=1.0
)
LORA = LoraSpec(rank=8, alpha=16.0, targets=("q_proj", "v_proj"))
MODEL = ModelSpec(
    encoder_name="small",
    llm_name="tiny",
    encoder="e" * 20,
    llm="l" * 20,
    stack=2,
    hidden=96,
    encoder_lora=LORA,
    llm_lora=LORA,
)
DATA = DataSpec(train="t" * 20, dev="d" * 20, test=(("clean", "c" * 20),), prompt="{speech}", language="zh")


def stage(**changes: Any) -> Stage:
    fields = {
        "name": "joint",
        "objective": Objective.LLM,
        "trains": ((Part.ENCODER, 1e-3), (Part.PROJECTOR, 5e-3)),
        "share": 1.0,
        "flops": None,
        "optimization": OPTIMIZATION,
    }
    return Stage(**{**fields, **changes})


def run(**changes: Any) -> RunSpec:
    fields = {
        "model": MODEL,
        "strategy": Strategy(name="joint", stages=(stage(),)),
        "budget_flops": 10**12,
        "data": DATA,
        "seed": 0,
        "precision": Precision.FP32,
    }
    return RunSpec(**{**fields, **changes})


def node(**changes: Any) -> StageNode:
    fields = {
        "parent": None,
        "start": None,
        "start_flops": 0,
        "model": MODEL,
        "stage": stage(),
        "data": DATA,
        "seed": 0,
        "precision": Precision.FP32,
        "until_flops": 8 * 10**11,
        "cooldown_from_flops": None,
        "final": False,
    }
    return StageNode(**{**fields, **changes})
