"""The GPUs of this machine, counted without torch, so that each worker is given one of its own."""

import os
import subprocess
from functools import cache

PATIENCE_SECONDS = 20.0
"""nvidia-smi answers in a second or two; where a driver hangs it would wait for ever (assumption)."""


@cache
def gpus() -> tuple[str, ...]:
    """What CUDA calls the GPUs this process may use: those of CUDA_VISIBLE_DEVICES, else all that nvidia-smi lists.

    None where there is no nvidia-smi, or it finds none.
    """
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return tuple(name for name in allowed.split(",") if name.strip() and name.strip() != "-1")
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(str(number) for number, line in enumerate(listed.splitlines()) if line.startswith("GPU"))


def gpus_of(slot: int, count: int = 1) -> dict[str, str]:
    """The environment that shows the worker in this slot its `count` GPUs alone; more workers than that share them."""
    found = gpus()
    chosen = dict.fromkeys(found[place % len(found)] for place in range(slot * count, (slot + 1) * count) if found)
    return {"CUDA_VISIBLE_DEVICES": ",".join(chosen)} if chosen else {}
