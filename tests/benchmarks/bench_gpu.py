"""Training on one accelerator in bf16, through the trainer: `make bench-gpu`, made to take about five minutes.

For each pair of models and each stage, as written and with `compile: true`: MFU, executed FLOPs as if nothing were kept
over time and over the device's own rate of large matrix products; audio-seconds a second; time spent waiting for
features; peak memory of the steps of an epoch beside what `plan` estimates. The minis' MFU says what the launch of
short kernels leaves of it. Then several processes that train the minis on the device at once, beside one. Writes
results/benchmarks/gpu.json.
"""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import torch
import transformers
from record import machine, write
from training_lab import QUIET, Lab, Ours, Pair

from scaling.asr.checkpoint import Progress
from scaling.base_models.lookup import find_encoder, find_llm
from scaling.cost.memory import step_memory
from scaling.spec import Precision

STAGES = ("encoder", "projector_lora")
UTTERANCES = 640
SECONDS = 6.0
"""Training measured for each stage, after an epoch in which kernels are chosen and memory is reserved."""

MATRIX = 8192
"""Rows and columns of the products that the device's rate is taken from: as in `scaling.asr.execution.probe`."""

PROCESSES = (1, 2, 4, 8)
PATIENCE_SECONDS = 300.0
"""How long processes wait for each other: one that died does not come."""


def main() -> None:
    """Measure and write the record."""
    if not torch.cuda.is_available():
        raise SystemExit("no accelerator here")
    pairs = [
        Pair(encoder=find_encoder(encoder).dims, llm=find_llm(llm).dims, batch_audio_seconds=seconds)
        for encoder, llm, seconds in (("whisper-small", "Qwen2.5-0.5B", 320.0), ("mini-s", "mini-s", 10.0))
    ]
    write("gpu", report("cuda", pairs, UTTERANCES, SECONDS, MATRIX, PROCESSES, (False, True)))


def report(
    device: str,
    pairs: Sequence[Pair],
    utterances: int,
    seconds: float,
    matrix: int,
    processes: Sequence[int],
    compiled: Sequence[bool],
) -> dict[str, Any]:
    """Each of `pairs` alone, compiled or not, and the last of them in several `processes` at once."""
    _quiet()
    rate = matmul_rate(device, matrix)
    found: dict[str, Any] = {
        "machine": machine() | {"device": torch.cuda.get_device_name() if device == "cuda" else "cpu"},
        "torch": torch.__version__,
        "matmul_flops_per_second": rate,
        "training": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ASR_SCALING_CACHE"] = folder
        for pair in pairs:
            name = f"{pair.encoder.name} + {pair.llm.name}"
            (place := Path(folder) / name).mkdir()
            lab = Lab(place, utterances, pair, device)
            found["training"][name] = {
                f"{stage}{', compiled' * way}": alone(lab, stage, seconds, rate, compiled=way)
                for stage, way in product(STAGES, compiled)
            }
            print(name, found["training"][name], flush=True)  # noqa: T201
        found["together"] = {
            "pair": name,
            "stage": STAGES[0],
            "audio_seconds_per_second": {count: together(lab, STAGES[0], seconds, count) for count in processes},
        }
    return found


def alone(lab: Lab, stage: str, seconds: float, rate: float, *, compiled: bool) -> dict[str, float | None]:
    """One process on the device."""
    peak = _Peak(lab.device)
    hooks = replace(QUIET, before_step=peak.look)
    ours = Ours(lab, stage, Precision.BF16, kept_gib=0.0, hooks=hooks, compiled=compiled)
    ours.epoch()
    step_bytes, before = peak.bytes, replace(ours.state.progress)
    after = _train(ours, seconds)
    spent = after.seconds - before.seconds
    executed = (after.executed_flops - before.executed_flops) / spent
    training, lengths = lab.stages[stage], ours.inputs.dataset.lengths
    estimate = step_memory(ours.model_shape, training, Precision.BF16, lengths, lab.pair.batch_audio_seconds)
    return {
        "mfu": executed / rate,
        "executed_flops_per_second": executed,
        "audio_seconds_per_second": (after.audio_samples - before.audio_samples) / 16_000 / spent,
        "seconds_per_step": spent / (after.steps - before.steps),
        "wait_share": (after.wait_seconds - before.wait_seconds) / spent,
        "peak_memory_bytes": step_bytes,
        "planned_memory_bytes": estimate.total,
    }


def together(lab: Lab, stage: str, seconds: float, count: int) -> float:
    """Audio-seconds a second of so many processes that train side by side."""
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(count, _prepare, (lab, stage, spawn.Barrier(count))) as pool:
        return sum(pool.map_async(_train_beside, [seconds] * count, chunksize=1).get(PATIENCE_SECONDS + 10 * seconds))


def matmul_rate(device: str, size: int) -> float:
    """FLOPs a second of products of square bf16 matrices, the best of five runs."""
    left, right = (torch.randn(size, size, device=device).bfloat16() for _ in range(2))
    spent = []
    for _ in range(5):
        began = time.perf_counter()
        float((left @ right)[0, 0])  # waits for the device
        spent.append(time.perf_counter() - began)
    return 2 * size**3 / min(spent)


class _Peak:
    """The most memory that the steps before a look took; what a checkpoint copies afterwards is not among it."""

    def __init__(self, device: str) -> None:
        self.bytes: int | None = None
        self._device = device
        if device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def look(self, progress: Progress) -> bool:
        if self._device == "cuda":
            self.bytes = torch.cuda.max_memory_allocated()
        return False


def _train(ours: Ours, seconds: float) -> Progress:
    """Epochs until so much time was spent on their steps."""
    until = ours.state.progress.seconds + seconds
    while ours.state.progress.seconds < until:
        ours.epoch()
    return ours.state.progress


def _prepare(lab: Lab, stage: str, ready: Barrier) -> None:
    global _beside
    _quiet()
    ours = Ours(lab, stage, Precision.BF16, kept_gib=0.0)
    ours.epoch()
    _beside = (ours, ready)


def _train_beside(seconds: float) -> float:
    ours, ready = _beside
    ready.wait(PATIENCE_SECONDS)
    before = replace(ours.state.progress)
    after = _train(ours, seconds)
    return (after.audio_samples - before.audio_samples) / 16_000 / (after.seconds - before.seconds)


def _quiet() -> None:
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


if __name__ == "__main__":
    main()
