"""How fast a worker trains and decodes: scaled to finished nodes where there are any, else estimated.

The time of training is that of `scaling.cost.training_time`, which answers and pages use as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from scaling.cost.hardware import ASSUMED_MFU, HARDWARE, STEP_SECONDS, Hardware, Throughput, saved_throughput
from scaling.cost.training_time import Speed, beside_products, device_speed, measured_scale
from scaling.ledger.ledger import Ledger
from sweeps.costs.tariff import Purchase
from sweeps.plan.evaluation import evaluated_utterances
from sweeps.plan.prepare import Prepared
from sweeps.progress.measured import Measured, measured

SAMPLED_NODES = 200
"""Nodes of other studies whose speed is averaged: few enough to be quick in a ledger of any size (assumption)."""

UTTERANCE_SECONDS = 0.0015
"""Seconds of decoding an utterance on a CPU core beside its matrix products: reading, log-mel, short kernels, scoring.
Measured on the minis of `demo` (648 ms for 300 utterances, of which products are 200), on a core with AVX2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSpeed:
    """How fast one worker trains and decodes, in FLOPs a second, and where each figure comes from.

    `flops_per_second` is what `training` amounts to over the steps of the plan. Several processes are taken to be so
    many times as fast as one (assumption: what they exchange costs nothing).
    """

    training: Speed
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
    """The speed of a worker: of what is bought, else of this machine; as measured on finished nodes of such devices.

    `flops_per_step` is the mean over the plan's steps; `decoding` are the FLOPs that each end of a run decodes.
    """
    processes = prepared.study.execution.processes
    training = _of_this_machine(prepared) if bought is None else device_speed(bought.hardware, bought.mfu, processes)
    decoding_rate, decoding_source = _decoding(prepared, training, bought, decoding)
    if ledger is not None and (bought is None or bought.mfu is None):
        device = None if bought is None else bought.hardware
        here = measured(ledger, sorted(prepared.done), decoding, device)
        done, whose = (here, "of this study") if here.training else (_elsewhere(ledger, device), "of other studies")
        scale = measured_scale((training, one) for one in done.training)
        training = training.scaled(scale, f"measured on {len(done.training)} finished nodes {whose}")
        if here.decoded_seconds:
            decoding_rate = here.decoded_flops / here.decoded_seconds
            decoding_source = "measured on finished runs of this study"
    return WorkerSpeed(
        training=training,
        flops_per_second=flops_per_step / training.seconds(flops_per_step, 1.0),
        source=training.source,
        decoding_flops_per_second=decoding_rate,
        decoding_source=decoding_source,
    )


def _elsewhere(ledger: Ledger, device: Hardware | None) -> Measured:
    stages = ledger.root / "stages"
    keys = (folder.name for folder in stages.iterdir()) if stages.is_dir() else iter(())
    return measured(ledger, islice(keys, SAMPLED_NODES), {}, device)


def _of_this_machine(prepared: Prepared) -> Speed:
    """From what `doctor` measured, else of a usual CPU core."""
    core, threads, processes = HARDWARE["cpu-core"], prepared.study.threads, prepared.study.execution.processes
    known = saved_throughput()
    if known is None:
        products = core.peak_flops * threads * core.mfu * processes
        source = f"assumption: {threads * processes} x the cpu-core of scaling.cost.hardware"
    elif known.accelerator:
        products = known.flops_per_second * ASSUMED_MFU * processes
        source = f"estimate: {ASSUMED_MFU:.0%} of {_as_measured(known)}"
    else:
        products = known.flops_per_second * threads / known.threads * core.mfu * processes
        source = f"estimate: {core.mfu:.0%} of {_as_measured(known)}"
    accelerator = known is not None and known.accelerator
    source = f"{source},{beside_products(accelerator)}"
    return Speed(flops_per_second=products, step_seconds=STEP_SECONDS, source=source, accelerator=accelerator)


def _decoding(
    prepared: Prepared, training: Speed, bought: Purchase | None, decoding: Mapping[str, int]
) -> tuple[float, str]:
    """FLOPs a second in decoding, and their source. On an accelerator, or where an MFU is given, it is taken to reach
    the share of the peak that training reaches in its matrix products (assumption).
    """
    if training.accelerator or (bought and bought.mfu is not None):
        return training.flops_per_second, "assumption: as in training"
    mean = sum(decoding.values()) / len(decoding)
    overhead = evaluated_utterances(prepared.study) * UTTERANCE_SECONDS / prepared.study.execution.processes
    rate = mean / (mean / training.flops_per_second + overhead)
    return rate, f"the same products, and {1000 * UTTERANCE_SECONDS:g} ms an utterance"


def _as_measured(throughput: Throughput) -> str:
    return f"the matrix products that `doctor` measured here, in {throughput.precision}"
