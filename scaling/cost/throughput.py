"""How fast this machine multiplies matrices, as `asr-scaling doctor` measured it: what `plan` estimates hours from.

Kept in the cache, by machine: a cache on a shared disk serves many.
"""

import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

from scaling.system.cache import cache_dir, write_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """Matrix products of one worker: `flops_per_second` on `threads` CPU threads, or on the accelerator `device`.

    `precision` is that of the products measured: fp32 on a CPU, bf16 on an accelerator.
    """

    device: str
    accelerator: bool
    threads: int
    precision: str
    flops_per_second: float


def save_throughput(measured: Throughput) -> None:
    """Remember what was measured on this machine; an unwritable cache is no error."""
    text = json.dumps(asdict(measured))
    write_whole(_path(), lambda out: out.write(text.encode()))


def saved_throughput() -> Throughput | None:
    """What was last measured on this machine, if anything."""
    try:
        return Throughput(**json.loads(_path().read_bytes()))
    except (OSError, ValueError, TypeError):  # never measured, or by another version
        return None


def _path() -> Path:
    return cache_dir() / "throughput" / f"{platform.node() or 'machine'}.json"
