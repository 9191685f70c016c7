"""Free memory, checked before a model is loaded; and errors of memory that ran out, named as such."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from scaling.errors import InputError
from scaling.system.container_memory import free_container_bytes

OUT_OF_MEMORY_WORDS = ("can't allocate memory", "not enough memory", "out of memory")
"""Words of torch's allocators in a RuntimeError; on a CPU there is no type of error for it."""


class OutOfMemory(Exception):
    """Memory ran out; the message says in which work, which may fit in smaller micro-batches."""


@contextmanager
def out_of_memory_named(what: str) -> Iterator[None]:
    """Raise OutOfMemory where the body runs out of memory, once all that it had allocated is freed."""
    message = None
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        message = _out_of_memory_message(error)
        if message is None:
            raise
    if message is not None:  # outside the handler: the error's traceback, and the tensors in it, are freed
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        raise OutOfMemory(f"{what} ran out of memory: {message}")


def refuse_too_large(what: str, needed_bytes: int, device: torch.device) -> None:
    """Raise InputError where `what` needs more memory than is free on `device`."""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory_bytes()
    if free is not None and needed_bytes > free:
        raise InputError(
            f"{what} needs at least {needed_bytes / 2**30:.3g} GiB, {free / 2**30:.3g} GiB are free on this"
            f" {device.type}; expected a smaller model, fewer workers, or a larger machine"
        )


def free_memory_bytes() -> int | None:
    """Memory that the kernel calls available, within the limits of control groups. None where it is unknown."""
    known = [value for value in (_available(), free_container_bytes()) if value is not None]
    return min(known) if known else None


def _out_of_memory_message(error: MemoryError | RuntimeError) -> str | None:
    """The first line of an error that means that memory ran out; None for any other error."""
    message = str(error).partition("\n")[0] or type(error).__name__
    ran_out = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return message if ran_out or any(words in message for words in OUT_OF_MEMORY_WORDS) else None


def _available() -> int | None:
    path = Path("/proc/meminfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)
