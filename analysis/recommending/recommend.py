"""A recommendation as people ask for it: for FLOPs, dollars or hours of a device, or for a CER wanted."""

from analysis.curves.curves import Curve
from analysis.curves.fits import Fits
from analysis.recommending.best_for_budget import recommend_for_budget
from analysis.recommending.flops_for_cer import recommend_for_cer
from analysis.recommending.recommendation import Recommendation
from analysis.recommending.training_price import training_price
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
    if not 0.0 <= lifetime_hours < float("inf"):
        raise InputError(f"recommend: --lifetime-hours: {lifetime_hours}, expected zero or more hours")
    curves, table = fits.curves, fits.table

    def bought(curve: Curve) -> float:
        """FLOPs of a curve that dollars or hours of the device pay."""
        if device is None or (usd is None and device_hours is None):
            return flops or 0.0
        price = training_price(curve, table, device)
        return (device_hours or 0.0) * price.flops_an_hour if usd is None else usd * price.flops_a_usd

    with announce_if_slow("choosing a strategy and models"):
        if cer is not None:
            return recommend_for_cer(curves, table, cer, device, lifetime_hours)
        return recommend_for_budget(curves, table, bought, device, lifetime_hours)
