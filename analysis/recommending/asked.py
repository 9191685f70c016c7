"""A recommendation as people ask for it: for FLOPs, dollars or hours of a device, or for a CER wanted."""

from analysis.curves.fits import Fits
from analysis.recommending.budgets import flops_of_hours, flops_of_usd
from analysis.recommending.recommend import Recommendation, recommend_for_cer, recommend_for_flops
from scaling.cost.hardware import find_hardware
from scaling.errors import InputError
from scaling.system.progress_line import announce_if_slow


def recommend_asked(
    fits: Fits,
    flops: float | None = None,
    cer: float | None = None,
    usd: float | None = None,
    device_hours: float | None = None,
    hardware: str | None = None,
    lifetime_hours: float = 0.0,
) -> Recommendation:
    """The recommendation for one of `flops`, `usd` and `device_hours` (the last two on `hardware`) that can be spent,
    or for a `cer` wanted, a fraction.

    Raises InputError for none of them, or several, and for dollars or hours of no hardware.
    """
    if sum(amount is not None for amount in (flops, cer, usd, device_hours)) != 1:
        raise InputError("recommend: give one of --flops, --cer, --usd and --device-hours")
    device = None if hardware is None else find_hardware(hardware)
    if device is None and (usd is not None or device_hours is not None):
        raise InputError("recommend: --usd and --device-hours need --hardware")
    if device is not None and usd is not None:
        flops = flops_of_usd(usd, device)
    if device is not None and device_hours is not None:
        flops = flops_of_hours(device_hours, device)
    if not 0.0 <= lifetime_hours < float("inf"):
        raise InputError(f"recommend: --lifetime-hours: {lifetime_hours}, expected zero or more hours")
    with announce_if_slow("choosing a strategy and models"):
        if flops is not None:
            return recommend_for_flops(fits.curves, fits.table, flops, device, lifetime_hours)
        return recommend_for_cer(fits.curves, fits.table, cer or 0.0, device, lifetime_hours)
