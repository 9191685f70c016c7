"""How long training takes: the one model of time that plans, answers, pages and the price of a step share.

The time of a worker is that of its matrix products and a fixed time a step, which is most of it where models are small.
A CPU does one after the other, an accelerator computes while the next step is prepared, and takes the longer of both.
Where runs were measured on the same kind of device, both are scaled by what those runs took.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from scaling.cost.hardware import STEP_SECONDS, Hardware


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """Training that a worker did: charged FLOPs and steps, and the seconds that they took."""

    flops: float
    steps: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How fast a worker trains: `flops_per_second` in matrix products, and `step_seconds` a step for all else, at the
    same time where the worker is an `accelerator`.

    `scale` is what measured training took over what this model of time says of it, `source` where the figures are from.
    """

    flops_per_second: float
    step_seconds: float
    source: str
    accelerator: bool
    scale: float = 1.0

    def seconds(self, flops: float, steps: float) -> float:
        """Seconds of training `flops` charged FLOPs in `steps` steps.

        >>> Speed(flops_per_second=1e12, step_seconds=0.02, source="", accelerator=False).seconds(6e13, steps=2000)
        100.0
        >>> Speed(flops_per_second=1e12, step_seconds=0.02, source="", accelerator=True).seconds(6e13, steps=2000)
        60.0
        """
        products, rest = flops / self.flops_per_second, steps * self.step_seconds
        return self.scale * (max(products, rest) if self.accelerator else products + rest)

    def scaled(self, scale: float | None, source: str) -> "Speed":
        """The speed where training was measured to take `scale` times as long; unchanged where it was not."""
        return self if scale is None else replace(self, scale=self.scale * scale, source=source)


def measured_scale(done: Iterable[tuple[Speed, Training]]) -> float | None:
    """What training took over what the speed of its workers says; None where nothing was measured."""
    pairs = [(training.seconds, speed.seconds(training.flops, training.steps)) for speed, training in done]
    said = sum(seconds for _, seconds in pairs)
    return sum(seconds for seconds, _ in pairs) / said if said > 0.0 else None


def device_speed(hardware: Hardware, mfu: float | None = None, devices: int = 1) -> Speed:
    """The speed of so many devices (assumption: exchange is free). A given `mfu` holds all of a step's time."""
    count = "" if devices == 1 else f"{devices} x "
    at, source = (hardware.mfu, hardware.mfu_source) if mfu is None else (mfu, "given")
    step = "" if mfu is not None else beside_products(hardware.accelerator)
    return Speed(
        flops_per_second=hardware.peak_flops * at * devices,
        step_seconds=STEP_SECONDS if mfu is None else 0.0,
        accelerator=hardware.accelerator,
        source=f"{count}{hardware.name} at MFU {at:g} ({source}){step}, not measured here",
    )


def beside_products(accelerator: bool) -> str:
    """What a step takes beside its matrix products, in words.

    >>> beside_products(False), beside_products(True)
    (' and 26 ms a step', ' or 26 ms a step, whichever is longer')
    """
    step = f"{1000 * STEP_SECONDS:.0f} ms a step"
    return f" or {step}, whichever is longer" if accelerator else f" and {step}"
