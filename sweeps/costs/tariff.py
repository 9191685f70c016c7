"""What devices are priced by: the hardware that FLOPs are bought on, and the rent of a device-hour."""

from dataclasses import dataclass

from scaling.cost.hardware import Hardware, find_hardware
from scaling.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """What FLOPs are bought with. None means the device's own figure."""

    hardware: Hardware
    mfu: float | None = None
    usd_per_hour: float | None = None

    def __post_init__(self) -> None:
        if self.mfu is not None and not 0 < self.mfu <= 1:
            raise InputError(f"--mfu must lie in (0, 1], not {self.mfu}")
        if self.usd_per_hour is not None and not self.usd_per_hour >= 0:
            raise InputError(f"--usd-per-hour must be 0 or more, not {self.usd_per_hour}")


def purchase_of(hardware: str | None, mfu: float | None, usd_per_hour: float | None) -> Purchase | None:
    """A purchase on the device of that name, if one is named; raises InputError on figures without a device."""
    if hardware is not None:
        return Purchase(hardware=find_hardware(hardware), mfu=mfu, usd_per_hour=usd_per_hour)
    if mfu is not None or usd_per_hour is not None:
        raise InputError("--mfu and --usd-per-hour say something about a device: give --hardware")
    return None


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
