"""What a device could do and what it does do: peak rates, the share of them that training reaches, and prices.

MFU (model FLOPs utilisation) is charged FLOPs over time, divided by the peak. Where it was not measured on that device
it says "assumption". Prices are rounded on-demand rents and always assumptions: give your own.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """One device. `peak_flops` is FLOP/s of dense matrix products in bf16 (fp32 for the CPU), per device."""

    name: str
    peak_flops: float
    peak_source: str
    mfu: float
    mfu_source: str
    usd_per_hour: float


HARDWARE = {
    device.name: device
    for device in (
        Hardware(
            name="h100-sxm",
            peak_flops=989.4e12,
            peak_source="NVIDIA H100 data sheet, bf16 tensor core, without sparsity",
            mfu=ASSUMED_MFU,
            mfu_source="assumption",
            usd_per_hour=2.5,
        ),
        Hardware(
            name="h200",
            peak_flops=989.4e12,
            peak_source="NVIDIA H200 data sheet, bf16 tensor core, without sparsity",
            mfu=ASSUMED_MFU,
            mfu_source="assumption",
            usd_per_hour=3.5,
        ),
        Hardware(
            name="a100-80g",
            peak_flops=312e12,
            peak_source="NVIDIA A100 data sheet, bf16 tensor core, without sparsity",
            mfu=ASSUMED_MFU,
            mfu_source="assumption",
            usd_per_hour=1.5,
        ),
        Hardware(
            name="rtx4090",
            peak_flops=165.2e12,
            peak_source="NVIDIA Ada white paper, bf16 with fp32 accumulation, without sparsity",
            mfu=ASSUMED_MFU,
            mfu_source="assumption",
            usd_per_hour=0.4,
        ),
        Hardware(
            name="cpu-core",
            peak_flops=87e9,
            peak_source="measured: fp32 matrix products on one Zen 4 core with AVX-512, one thread (72-92 GFLOP/s)",
            mfu=0.56,
            mfu_source="measured on that core: encoder of width 192 and 4 layers, length-bucketed batches of 16",
            usd_per_hour=0.04,
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


def device_hours(flops: float, hardware: Hardware, mfu: float | None = None) -> float:
    """Hours of one device for `flops` charged FLOPs, at `mfu` or the device's own.

    >>> device_hours(989.4e12 * 3600, HARDWARE["h100-sxm"], mfu=0.5)
    2.0
    """
    return flops / (hardware.peak_flops * (hardware.mfu if mfu is None else mfu)) / 3600


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
