"""What a device could do and what it does do: peak rates, the share of them that training reaches, the time of a step
beside them, and prices.

MFU (model FLOPs utilisation) is charged FLOPs over time, divided by the peak. Where it was not measured on that device
it says "assumption". Prices are rounded on-demand rents and always assumptions: give your own. `training_time` makes
hours of these figures.
"""

import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

from scaling.errors import InputError, nearest
from scaling.system.cache import cache_dir, write_whole

ASSUMED_MFU = 0.4
"""Assumption for accelerators: what large dense transformers reach in bf16 (PaLM reports 0.46), a little less because
utterances are short and uneven."""

STEP_SECONDS = 0.026
"""Seconds of a step on a CPU core beside its matrix products: reading, Python, short kernels. Measured on the minis of
`demo`, on a Zen 4 core; a slower, shared core took four times as long. On accelerators it is an assumption: there the
same Python starts kernels while earlier ones run, so that a step takes the longer of both and small models wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """One device. `peak_flops` is FLOP/s of dense matrix products in bf16 (fp32 for the CPU), per device; `names` are
    those by which trainers call it in their results. An `accelerator` is started by a CPU that does not wait for it.
    """

    name: str
    peak_flops: float
    peak_source: str
    usd_per_hour: float
    names: tuple[str, ...]
    mfu: float = ASSUMED_MFU
    mfu_source: str = "assumption"
    accelerator: bool = True


DATA_SHEET = "NVIDIA {} data sheet, bf16 tensor core, without sparsity"

HARDWARE = {
    device.name: device
    for device in (
        Hardware(
            name="h100-sxm",
            peak_flops=989.4e12,
            peak_source=DATA_SHEET.format("H100"),
            usd_per_hour=2.5,
            names=("h100",),
        ),
        Hardware(
            name="h200", peak_flops=989.4e12, peak_source=DATA_SHEET.format("H200"), usd_per_hour=3.5, names=("h200",)
        ),
        Hardware(
            name="a100-80g", peak_flops=312e12, peak_source=DATA_SHEET.format("A100"), usd_per_hour=1.5, names=("a100",)
        ),
        Hardware(
            name="rtx4090",
            peak_flops=165.2e12,
            peak_source="NVIDIA Ada white paper, bf16 with fp32 accumulation, without sparsity",
            usd_per_hour=0.4,
            names=("rtx 4090", "rtx4090"),
        ),
        Hardware(
            name="cpu-core",
            peak_flops=87e9,
            peak_source="measured: fp32 matrix products on one Zen 4 core with AVX-512, one thread (72-92 GFLOP/s)",
            usd_per_hour=0.04,
            names=("x86_64", "aarch64", "arm64", "cpu"),
            mfu=0.56,
            mfu_source="measured on that core: encoder of width 192 and 4 layers, length-bucketed batches of 16",
            accelerator=False,
        ),
    )
}
"""Devices by name. A rate measured on your own machine is worth more than any row here."""


def find_hardware(name: str) -> Hardware:
    """The device whose name is `name`, or alone begins with it (`cpu`, `H100`); InputError names the nearest."""
    beginning = [device for device in HARDWARE.values() if name and device.name.startswith(name.lower())]
    if len(beginning) != 1:
        raise InputError(f"hardware {name!r} is not known{nearest(name, HARDWARE)}")
    return beginning[0]


def hardware_of(device: str) -> Hardware | None:
    """The device that a trainer means, such as "NVIDIA H100 80GB HBM3" or "x86_64"; None where no row is about it."""
    return next((row for row in HARDWARE.values() if any(name in device.lower() for name in row.names)), None)


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
