"""How fast a worker trains and decodes: measured on finished nodes where there are any, else estimated."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from scaling.cost.hardware import ASSUMED_MFU, HARDWARE, Throughput, saved_throughput
from scaling.ledger.ledger import Ledger
from sweeps.costs.tariff import Purchase
from sweeps.plan.evaluation import evaluated_utterances
from sweeps.plan.prepare import Prepared
from sweeps.progress.measured import Measured, measured

SAMPLED_NODES = 200
"""Nodes of other studies whose speed is averaged: few enough to be quick in a ledger of any size (assumption)."""

STEP_SECONDS = 0.026
"""Seconds of a step on a CPU core beside its matrix products: reading, Python, short kernels. Measured on the minis of
`demo`, on a Zen 4 core; a slower, shared core took four times as long."""

UTTERANCE_SECONDS = 0.0015
"""Seconds of decoding an utterance on a CPU core beside its matrix products: reading, log-mel, short kernels, scoring.
Measured on the minis of `demo` (648 ms for 300 utterances, of which products are 200), on a core with AVX2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSpeed:
    """Charged FLOPs a second of one worker in training, those of decoding, and where each figure comes from.

    Several processes are taken to be so many times as fast as one (assumption: what they exchange costs nothing).
    """

    flops_per_second: float
    source: str
    decoding_flops_per_second: float
    decoding_source: str


def worker_speed(
    prepared: Prepared,
    ledger: Ledger | None,
    bought: Purchase | None,
    flops_per_step: float,
    decoding: Mapping[str, int],
) -> WorkerSpeed:
    """The speed of a worker: of what is bought, else as measured on finished nodes, else as estimated.

    `flops_per_step` is the mean over the plan's steps; `decoding` are the FLOPs that each end of a run decodes.
    """
    if bought is not None:
        return _bought(bought, prepared.study.execution.processes)
    estimate = _estimate(prepared, flops_per_step, decoding)
    if ledger is None:
        return estimate
    here = measured(ledger, sorted(prepared.done), decoding)
    measurement, whose = (here, "of this study") if here.trained_seconds else (_elsewhere(ledger), "of other studies")
    if not measurement.trained_seconds:
        return estimate
    return WorkerSpeed(
        flops_per_second=measurement.trained_flops / measurement.trained_seconds,
        source=f"measured on {measurement.nodes} finished nodes {whose}",
        decoding_flops_per_second=(
            measurement.decoded_flops / measurement.decoded_seconds
            if measurement.decoded_seconds
            else estimate.decoding_flops_per_second
        ),
        decoding_source="measured on finished runs of this study"
        if measurement.decoded_seconds
        else estimate.decoding_source,
    )


def _elsewhere(ledger: Ledger) -> Measured:
    stages = ledger.root / "stages"
    keys = (folder.name for folder in stages.iterdir()) if stages.is_dir() else iter(())
    return measured(ledger, islice(keys, SAMPLED_NODES), {})


def _bought(purchase: Purchase, processes: int) -> WorkerSpeed:
    device = purchase.hardware
    mfu, source = (device.mfu, device.mfu_source) if purchase.mfu is None else (purchase.mfu, "given")
    source = f"{'' if processes == 1 else f'{processes} x '}{device.name} at MFU {mfu:g} ({source}), not measured here"
    return _alike(device.peak_flops * mfu * processes, source)


def _estimate(prepared: Prepared, flops_per_step: float, decoding: Mapping[str, int]) -> WorkerSpeed:
    """From what `doctor` measured, else of a usual CPU core."""
    core, threads, processes = HARDWARE["cpu-core"], prepared.study.threads, prepared.study.execution.processes
    known = saved_throughput()
    if known is not None and known.accelerator:
        source = f"estimate: {ASSUMED_MFU:.0%} of {_as_measured(known)}"
        return _alike(known.flops_per_second * ASSUMED_MFU * processes, source)
    if known is not None:
        products = known.flops_per_second * threads / known.threads * core.mfu * processes
        source = f"estimate: {core.mfu:.0%} of {_as_measured(known)}"
    else:
        products = core.peak_flops * threads * core.mfu * processes
        source = f"assumption: {threads * processes} x the cpu-core of scaling.cost.hardware"
    mean_decoding = sum(decoding.values()) / len(decoding)
    overhead = evaluated_utterances(prepared.study) * UTTERANCE_SECONDS / processes
    return WorkerSpeed(
        flops_per_second=flops_per_step / (flops_per_step / products + STEP_SECONDS),
        source=f"{source}, and {1000 * STEP_SECONDS:.0f} ms a step",
        decoding_flops_per_second=mean_decoding / (mean_decoding / products + overhead),
        decoding_source=f"the same products, and {1000 * UTTERANCE_SECONDS:g} ms an utterance",
    )


def _alike(flops_per_second: float, source: str) -> WorkerSpeed:
    """On an accelerator decoding is taken to reach the MFU of training (assumption)."""
    return WorkerSpeed(
        flops_per_second=flops_per_second,
        source=source,
        decoding_flops_per_second=flops_per_second,
        decoding_source="assumption: as in training",
    )


def _as_measured(throughput: Throughput) -> str:
    return f"the matrix products that `doctor` measured here, in {throughput.precision}"
