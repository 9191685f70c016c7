"""Budgets in dollars or in device-hours on named hardware, converted into charged FLOPs and back."""

from dataclasses import dataclass

from analysis.notes import Note
from scaling.cost.hardware import Hardware, device_hours


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareCost:
    """What `flops` charged FLOPs cost on one kind of device. The rate is the device's peak times its MFU."""

    flops: float
    hardware: Hardware

    @property
    def device_hours(self) -> float:
        """Hours of one device."""
        return device_hours(self.flops, self.hardware)

    @property
    def usd(self) -> float:
        """Dollars, at the price of an hour of the hardware."""
        return self.device_hours * self.hardware.usd_per_hour

    @property
    def basis(self) -> str:
        """What hours and dollars rest on, in words."""
        device = self.hardware
        rate = f"{device.mfu:.0%} of {device.peak_flops:.3g} FLOP/s ({device.mfu_source})"
        return f"{device.name} at {rate} and {device.usd_per_hour:g} USD an hour (assumption)"

    @property
    def note(self) -> Note:
        """A note that names the assumptions behind hours and dollars."""
        return Note("price", f"Hours and dollars are those of {self.basis}.")

    def as_dict(self) -> dict[str, object]:
        """As `recommend --json` prints it."""
        return {
            "hardware": self.hardware.name,
            "mfu": self.hardware.mfu,
            "mfu_source": self.hardware.mfu_source,
            "usd_per_hour": self.hardware.usd_per_hour,
            "device_hours": self.device_hours,
            "usd": self.usd,
        }


def flops_of_hours(hours: float, hardware: Hardware) -> float:
    """The charged FLOPs of `hours` hours of one device."""
    return hours / device_hours(1.0, hardware)


def flops_of_usd(usd: float, hardware: Hardware) -> float:
    """The charged FLOPs that `usd` dollars buy."""
    return flops_of_hours(usd / hardware.usd_per_hour, hardware)
