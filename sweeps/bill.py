"""What a plan costs before it is started: FLOPs charged and spent, audio, steps, hours, money and disk."""

from dataclasses import dataclass
from itertools import islice

from scaling.errors import InputError
from scaling.hardware import ASSUMED_MFU, HARDWARE, find_hardware
from scaling.ledger import Ledger
from scaling.throughput import Throughput, saved_throughput
from sweeps.appetite import but_for_seeds
from sweeps.disk import Disk, disk
from sweeps.launchers.local import default_workers
from sweeps.plan import remaining_flops
from sweeps.preparation import Prepared
from sweeps.price import Purchase
from sweeps.records import node_result

SAMPLED_NODES = 200
"""Nodes of other studies looked at for a speed: enough for a mean, quick in a ledger of any size."""

STEP_SECONDS = 0.026
"""Of a step on a CPU core, apart from its products: reading, Python, short kernels. Measured on the minis of `demo`, on
a Zen 4 core; a slower, shared one took four times as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Charged FLOPs a second of one worker, and where the figure comes from. Several processes are taken to be so many
    times as fast as one (assumption: what they exchange costs nothing).
    """

    flops_per_second: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rent:
    """What a worker occupies: so many devices, each at a price an hour. None: no price is known."""

    devices: int
    device: str
    usd_per_hour: float | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """What to price by instead of what is known of this machine: other hardware, another rent for a device-hour."""

    hardware: Purchase | None = None
    usd_per_hour: float | None = None


def tariff_of(hardware: str | None, mfu: float | None, usd_per_hour: float | None) -> Tariff:
    """The tariff that a command line asks for. Raises InputError on an unknown device or a figure out of range."""
    if hardware is None and mfu is not None:
        raise InputError("--mfu says something about a device: give --hardware")
    if usd_per_hour is not None and not 0 <= usd_per_hour < float("inf"):
        raise InputError(f"--usd-per-hour must be 0 or more, not {usd_per_hour}")
    bought = None if hardware is None else Purchase(hardware=find_hardware(hardware), mfu=mfu)
    return Tariff(hardware=bought, usd_per_hour=usd_per_hour)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """The cost of a study. Audio and steps are those of all runs, as charged; the rest is what is still to pay.

    `worker_hours` are of one worker, `device_hours` those of all its devices, `finish_hours` until the last of
    `workers` workers is through: no less than the longest chain of nodes that wait for one another.
    """

    charged_flops: int
    spent_flops: int
    reused_flops: int
    audio_hours: float
    steps: float
    worker_hours: float
    workers: int
    finish_hours: float
    speed: Speed
    rent: Rent
    disk: Disk

    @property
    def spent_over_charged(self) -> float:
        """What sharing leaves to pay, as a fraction."""
        return self.spent_flops / self.charged_flops

    @property
    def to_spend_flops(self) -> int:
        """FLOPs still to train."""
        return self.spent_flops - self.reused_flops

    @property
    def device_hours(self) -> float:
        """Hours of devices still to pay."""
        return self.worker_hours * self.rent.devices

    @property
    def usd(self) -> float | None:
        """Money still to pay; None where no price is known."""
        return None if self.rent.usd_per_hour is None else self.device_hours * self.rent.usd_per_hour


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most a study may still cost. None: no limit."""

    flops: float | None = None
    device_hours: float | None = None
    usd: float | None = None

    def refuse(self, costs: Bill) -> None:
        """Raise InputError where the bill is over a limit, or where its money is limited and no price is known."""
        for flag, most, cost, unit in (
            ("--max-flops", self.flops, costs.to_spend_flops, "FLOPs"),
            ("--max-hours", self.device_hours, costs.device_hours, f"device-hours ({costs.speed.source})"),
            ("--max-usd", self.usd, costs.usd, f"USD ({costs.speed.source}; rent: {costs.rent.source})"),
        ):
            if most is not None and cost is None:
                raise InputError(f"{flag} {most:g}: no price of {costs.rent.device} is known; give --usd-per-hour")
            if most is not None and cost is not None and cost > most:
                raise InputError(f"{flag} {most:g}: what is left of this study costs {cost:.4g} {unit}")


def bill(prepared: Prepared, ledger: Ledger | None, tariff: Tariff | None = None, workers: int | None = None) -> Bill:
    """The bill of a plan. Nodes that are finished in `ledger` cost nothing more.

    `workers` work side by side, as many as this machine has room for where not given.
    """
    plan, study = prepared.plan, prepared.study
    tariff = tariff or Tariff()
    processes = study.thrift.processes
    side_by_side = workers or default_workers(study.threads, study.processes)
    charged, spent = plan.charged_flops, plan.spent_flops
    reused = sum(plan.nodes[key].node.flops for key in prepared.done)
    audio_seconds = steps = 0.0
    for run, count in but_for_seeds([run.spec for run in plan.runs]):
        for stage in run.strategy.stages:
            appetite = prepared.appetites[run.model, stage]
            seconds = count * stage.budget(run.budget_flops) / appetite.flops_per_audio_second
            audio_seconds += seconds
            steps += seconds / appetite.audio_seconds_per_step
    bought = tariff.hardware
    speed = _speed(prepared, ledger, charged / steps) if bought is None else _bought(bought, processes)
    left, longest = spent - reused, max(remaining_flops(plan.nodes, prepared.done).values())
    return Bill(
        charged_flops=charged,
        spent_flops=spent,
        reused_flops=reused,
        audio_hours=audio_seconds / 3600,
        steps=steps,
        worker_hours=left / speed.flops_per_second / 3600,
        workers=side_by_side,
        finish_hours=max(left / side_by_side, longest) / speed.flops_per_second / 3600,
        speed=speed,
        rent=_rent(study.threads, processes, tariff),
        disk=disk(study, plan),
    )


def _bought(purchase: Purchase, processes: int) -> Speed:
    device = purchase.hardware
    mfu, source = (device.mfu, device.mfu_source) if purchase.mfu is None else (purchase.mfu, "given")
    source = f"{'' if processes == 1 else f'{processes} x '}{device.name} at MFU {mfu:g} ({source}), not measured here"
    return Speed(flops_per_second=device.peak_flops * mfu * processes, source=source)


def _rent(threads: int, processes: int, tariff: Tariff) -> Rent:
    measured = saved_throughput()
    usual: float | None
    if tariff.hardware is not None:
        devices, device, usual = processes, tariff.hardware.hardware.name, tariff.hardware.hardware.usd_per_hour
    elif measured is not None and measured.accelerator:
        devices, device, usual = processes, measured.device, None
    else:
        devices, device, usual = threads * processes, "cpu-core", HARDWARE["cpu-core"].usd_per_hour
    given = tariff.usd_per_hour
    source = "given" if given is not None else "assumption"
    return Rent(devices=devices, device=device, usd_per_hour=usual if given is None else given, source=source)


def _speed(prepared: Prepared, ledger: Ledger | None, flops_per_step: float) -> Speed:
    """The mean speed of finished nodes, this plan's if there are any, else from `doctor`, else of a usual CPU core."""
    for keys, whose in ((sorted(prepared.done), "of this study"), (_others(ledger), "of other studies")):
        results = [node_result(ledger, key) for key in keys] if ledger is not None else []
        spent = [result["spent"] for result in results if result is not None]
        seconds = sum(entry["seconds"] for entry in spent)
        if seconds > 0:
            flops = sum(entry["flops"] for entry in spent)
            return Speed(flops_per_second=flops / seconds, source=f"measured on {len(spent)} finished nodes {whose}")
    core, threads, processes = HARDWARE["cpu-core"], prepared.study.threads, prepared.study.thrift.processes
    measured = saved_throughput()
    if measured is not None and measured.accelerator:
        source = f"estimate: {ASSUMED_MFU:.0%} of {_as_measured(measured)}"
        return Speed(flops_per_second=measured.flops_per_second * ASSUMED_MFU * processes, source=source)
    if measured is not None:
        products = measured.flops_per_second * threads / measured.threads
        source = f"estimate: {core.mfu:.0%} of {_as_measured(measured)}"
    else:
        products = core.peak_flops * threads
        source = f"assumption: {threads * processes} x the cpu-core of scaling.hardware"
    seconds = flops_per_step / (products * core.mfu * processes) + STEP_SECONDS
    source = f"{source}, and {1000 * STEP_SECONDS:.0f} ms a step"
    return Speed(flops_per_second=flops_per_step / seconds, source=source)


def _as_measured(throughput: Throughput) -> str:
    return f"the matrix products that `doctor` measured here, in {throughput.precision}"


def _others(ledger: Ledger | None) -> list[str]:
    stages = ledger.root / "stages" if ledger is not None else None
    keys = (folder.name for folder in stages.iterdir()) if stages is not None and stages.is_dir() else iter(())
    return list(islice(keys, SAMPLED_NODES))
