"""What torch finds on this machine and how fast it multiplies matrices: started by `asr-scaling doctor`.

    python -m scaling.asr.execution.probe

Prints one JSON object: {"torch", "transformers", "peft", "device", "accelerator", "threads", "precision",
"flops_per_second"}.
"""

import json
import platform
import sys
import time

import peft
import torch
import transformers

SECONDS = 0.5
"""Time that is measured, after one product to warm up: clocks settle within tenths of a second (assumption)."""

CPU_SIZE, ACCELERATOR_SIZE = 1024, 8192
"""Rows and columns of the square matrices: the size from which larger ones are no faster (assumption)."""


def main() -> None:
    """Measure and print."""
    accelerator = torch.cuda.is_available()
    torch.set_num_threads(1)
    measured = (
        _flops_per_second(ACCELERATOR_SIZE, torch.bfloat16, "cuda")
        if accelerator
        else _flops_per_second(CPU_SIZE, torch.float32, "cpu")
    )
    report = {
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "peft": peft.__version__,
        "device": torch.cuda.get_device_name() if accelerator else platform.machine(),
        "accelerator": accelerator,
        "threads": torch.get_num_threads(),
        "precision": "bf16" if accelerator else "fp32",
        "flops_per_second": measured,
    }
    sys.stdout.write(json.dumps(report) + "\n")


def _flops_per_second(size: int, dtype: torch.dtype, device: str) -> float:
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    _product(left, right)
    products, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        _product(left, right)
        products += 1
    return products * 2 * size**3 / (time.perf_counter() - began)


def _product(left: torch.Tensor, right: torch.Tensor) -> None:
    torch.mm(left, right)
    if left.is_cuda:
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
