"""What training costs on a device, and budgets in dollars or device-hours, converted into charged FLOPs and back.

The model of time is that of `plan` (`scaling.cost.training_time`); steps and measured seconds are those of the table.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from analysis.curves.curves import Curve
from analysis.formatting import number
from analysis.notes import Note
from analysis.tables.seed_averaged_points import curve_identity
from analysis.tables.table import Row, Table
from analysis.tables.usable_rows import FLOPS
from scaling.cost.amounts import SECONDS_AN_HOUR
from scaling.cost.hardware import Hardware, hardware_of
from scaling.cost.training_time import Speed, beside_products, device_speed
from scaling.ledger.records import is_usable


class StageWork(NamedTuple):
    """Charged FLOPs and steps of a stage; steps are 0 where they are not known."""

    flops: float
    steps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPrice:
    """What the training of a curve costs on one device: `speed` is the device's, `measured` how many runs of the table
    it is scaled to. `stages` are the FLOPs and steps of each stage of the curve's runs; `steps_known` says whether the
    table has the latter.
    """

    hardware: Hardware
    speed: Speed
    stages: tuple[StageWork, ...]
    steps_known: bool
    measured: int

    @property
    def flops_an_hour(self) -> float:
        """Charged FLOPs that the device trains in an hour."""
        flops = sum(stage.flops for stage in self.stages)
        return SECONDS_AN_HOUR * flops / _seconds(self.speed, self.stages)

    @property
    def steps_per_flop(self) -> float | None:
        """Steps over charged FLOPs; None where the table does not say steps."""
        flops = sum(stage.flops for stage in self.stages)
        return sum(stage.steps for stage in self.stages) / flops if self.steps_known else None

    @property
    def flops_a_usd(self) -> float:
        """Charged FLOPs that a dollar buys."""
        return self.flops_an_hour / self.hardware.usd_per_hour

    @property
    def basis(self) -> str:
        """What hours and dollars rest on, in words."""
        device = self.hardware
        rate = f"{device.mfu:.0%} of {device.peak_flops:.3g} FLOP/s ({device.mfu_source})"
        if self.steps_known:
            rate += beside_products(device.accelerator)
        if self.measured:
            rate += f", times {number(self.speed.scale, 2)}, as {self.measured} runs of the table took on such a device"
        elif not self.steps_known:
            rate += ", the assumed speed, because the table says neither steps nor what its runs took on such a device"
        return f"{device.name} at {rate}, and {device.usd_per_hour:g} USD an hour (assumption)"


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareCost:
    """What the training of `flops` charged FLOPs costs, without looks at dev and decoding."""

    flops: float
    price: TrainingPrice

    @property
    def device_hours(self) -> float:
        """Hours of one device."""
        return self.flops / self.price.flops_an_hour

    @property
    def usd(self) -> float:
        """Dollars, at the price of an hour of the hardware."""
        return self.flops / self.price.flops_a_usd

    @property
    def note(self) -> Note:
        """A note that names the assumptions behind hours and dollars."""
        return Note("price", f"Hours and dollars of training are those of {self.price.basis}.")

    def as_dict(self) -> dict[str, object]:
        """As `recommend --json` prints it."""
        hardware = self.price.hardware
        return {
            "hardware": hardware.name,
            "mfu": hardware.mfu,
            "mfu_source": hardware.mfu_source,
            "usd_per_hour": hardware.usd_per_hour,
            "device_hours": self.device_hours,
            "usd": self.usd,
            "steps": None if self.price.steps_per_flop is None else self.flops * self.price.steps_per_flop,
            "basis": self.price.basis,
        }


class _Done(NamedTuple):
    """Training of one run of a table, stage by stage, and what the table says of it: steps, seconds, hardware."""

    identity: tuple[str, str | None, str | None]
    stages: Mapping[str, StageWork]
    steps_known: bool
    seconds: float
    hardware: Hardware | None
    devices: int


def training_price(curve: Curve, table: Table, hardware: Hardware) -> TrainingPrice:
    """The price of training as `curve` does, by its runs' steps and the seconds of all runs on such a device."""
    done = [one for row in table.rows if is_usable(row) and (one := _done(row)) is not None]
    own = [one for one in done if one.identity == curve.identity and one.steps_known]
    took = [one for one in done if one.hardware == hardware and one.seconds and one.steps_known == bool(own)]
    scale = None
    if took:
        said = sum(_seconds(device_speed(hardware, devices=one.devices), one.stages.values()) for one in took)
        scale = sum(one.seconds for one in took) / said
    names = dict.fromkeys(name for one in own for name in one.stages)
    together = ([one.stages[name] for one in own if name in one.stages] for name in names)
    stages = tuple(StageWork(sum(work.flops for work in each), sum(work.steps for work in each)) for each in together)
    return TrainingPrice(
        hardware=hardware,
        speed=device_speed(hardware).scaled(scale, "the runs of the table"),
        stages=stages or (StageWork(1.0, 0.0),),
        steps_known=bool(own),
        measured=len(took),
    )


def _seconds(speed: Speed, stages: Iterable[StageWork]) -> float:
    return sum(speed.seconds(stage.flops, stage.steps) for stage in stages)


def recorded_devices(table: Table) -> set[str]:
    """What the runs of a table were trained on, as it says that."""
    return {device for row in table.rows if (device := _device(row)) is not None}


def _done(row: Row) -> _Done | None:
    """The training of a run; None where its FLOPs are no number. Tables of other people may hold anything."""
    flops = _positive(row.get(FLOPS))
    if flops is None:
        return None
    said = row.get("stages")
    stages = [stage for stage in said if isinstance(stage, dict)] if isinstance(said, list) else []
    counted = [(str(stage.get("name")), _positive(stage.get(FLOPS)), _positive(stage.get("steps"))) for stage in stages]
    if not counted or any(steps is None for _, _, steps in counted):
        counted = [("", flops, _positive(row.get("steps")))]
    device = _device(row)
    hardware = None if device is None else hardware_of(device)
    return _Done(
        identity=curve_identity(row),
        stages={name: StageWork(own or 0.0, steps or 0.0) for name, own, steps in counted},
        steps_known=all(steps is not None for _, _, steps in counted),
        seconds=_positive(row.get("seconds")) or 0.0,
        hardware=hardware,
        devices=_devices(row, hardware),
    )


def _device(row: Row) -> str | None:
    provenance = row.get("provenance")
    said = provenance.get("device") if isinstance(provenance, dict) else row.get("device", row.get("hardware"))
    return said if isinstance(said, str) and said else None


def _devices(row: Row, hardware: Hardware | None) -> int:
    """How many devices a run occupied: processes, and on a CPU the threads of each."""
    provenance = row.get("provenance")
    said = provenance if isinstance(provenance, dict) else row
    processes, threads = (int(_positive(said.get(name)) or 1) for name in ("processes", "threads"))
    return max(processes, 1) * (1 if hardware is None or hardware.accelerator else max(threads, 1))


def _positive(value: object) -> float | None:
    try:
        number_of = float(value)  # type: ignore[arg-type]  # anything may stand there
    except (TypeError, ValueError):
        return None
    return number_of if 0.0 < number_of < math.inf else None
