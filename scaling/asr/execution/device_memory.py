"""Whether a model fits, asked before it is loaded, and running out all the same: clear words, not a killed process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from scaling.errors import InputError
from scaling.system.container_memory import free_container_bytes

OUT_OF_MEMORY_WORDS = ("can't allocate memory", "not enough memory", "out of memory")
"""What torch's allocators say in a RuntimeError; on a CPU there is no type for it."""


class OutOfMemory(Exception):
    """Memory ran out; the message says in what. The same work may fit in smaller pieces."""


@contextmanager
def out_of_memory_named(what: str) -> Iterator[None]:
    """Raise OutOfMemory where the body runs out of memory, holding on to nothing that it had allocated."""
    said = None
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        said = _out_of_memory(error)
        if said is None:
            raise
    if said is not None:  # outside the handler: the error's traceback, and the tensors in it, are gone
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        raise OutOfMemory(f"{what} ran out of memory: {said}")


def refuse_too_large(what: str, needed_bytes: int, device: torch.device) -> None:
    """Raise InputError where `what` needs more memory than is free on `device`."""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory_bytes()
    if free is not None and needed_bytes > free:
        raise InputError(
            f"{what} needs at least {needed_bytes / 2**30:.3g} GiB, {free / 2**30:.3g} GiB are free on this"
            f" {device.type}; expected a smaller model, fewer workers, or a larger machine"
        )


def free_memory_bytes() -> int | None:
    """Memory that may still be taken: what the kernel calls available, within control groups. None if unknown."""
    known = [value for value in (_available(), free_container_bytes()) if value is not None]
    return min(known) if known else None


def _out_of_memory(error: MemoryError | RuntimeError) -> str | None:
    """What an error says of memory that ran out; None where it says something else."""
    said = str(error).partition("\n")[0] or type(error).__name__
    ran_out = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return said if ran_out or any(words in said for words in OUT_OF_MEMORY_WORDS) else None


def _available() -> int | None:
    path = Path("/proc/meminfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)
