"""The GPUs of this machine, counted without torch, so that each worker is given one of its own."""

import os
import subprocess
from functools import cache

NVIDIA_SMI_SECONDS = 20.0
"""nvidia-smi answers in a second or two; where a driver hangs it would never return (assumption)."""


@cache
def gpus() -> tuple[str, ...]:
    """CUDA's names of this process's GPUs: in CUDA_VISIBLE_DEVICES, or all of nvidia-smi's; empty for none."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return tuple(name for name in allowed.split(",") if name.strip() and name.strip() != "-1")
    try:
        listing = subprocess.run(
            ["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=NVIDIA_SMI_SECONDS, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(str(number) for number, line in enumerate(listing.splitlines()) if line.startswith("GPU"))


def gpus_of(slot: int, count: int = 1) -> dict[str, str]:
    """The variable that shows a slot its own `count` GPUs, shared where there are too few; empty without GPUs."""
    names = gpus()
    chosen = dict.fromkeys(names[number % len(names)] for number in range(slot * count, (slot + 1) * count) if names)
    return {"CUDA_VISIBLE_DEVICES": ",".join(chosen)} if chosen else {}
