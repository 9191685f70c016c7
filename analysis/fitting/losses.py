"""The objectives that a fit can minimise. An objective is the **sum** over points, never the mean: the gradients of a
mean fall below an optimiser's tolerance, and the optimiser stops where it started.
"""

from dataclasses import dataclass

import numpy as np

from analysis.fitting.laws import Array
from scaling.errors import InputError, nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A sum of squares of raw or log residuals, or a Huber loss of log residuals where `delta` is given.

    Squares: `sum w r^2`. Huber: `sum w r^2 / 2` within delta, `w delta (|r| - delta / 2)` beyond (the objective of
    Hoffmann et al. and Epoch). `screened` sets gross outliers aside first and names them.
    """

    name: str
    log: bool
    delta: float | None = None
    screened: bool = False

    def link(self, value: Array) -> Array:
        """The scale on which residuals are taken: the log, or the value itself."""
        linked: Array = np.log(value) if self.log else value
        return linked

    def cost(self, residual: Array, weight: Array) -> Array:
        """The objective, summed over the last axis."""
        if self.delta is None:
            squares: Array = (weight * residual**2).sum(-1)
            return squares
        size = np.abs(residual)
        inside = np.minimum(size, self.delta)
        total: Array = (weight * inside * (size - 0.5 * inside)).sum(-1)
        return total

    def curvature(self, residual: Array) -> Array:
        """rho'(r) / r: the weight of a point in the next least-squares step."""
        if self.delta is None:
            return np.full_like(residual, 2.0)
        return np.minimum(1.0, self.delta / np.maximum(np.abs(residual), 1e-300))


HUBER_DELTA = 1e-3
"""Hoffmann et al. 2022: so small against residuals of a few percent that the loss is nearly their absolute value."""

LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss(name="raw_ls", log=False),
        Loss(name="log_ls", log=True),
        Loss(name="log_huber", log=True, delta=HUBER_DELTA),
        Loss(name="log_ls_screened", log=True, screened=True),
    )
}


def loss_named(name: str) -> Loss:
    """The loss called `name`. Raises InputError with the nearest valid name."""
    if name not in LOSSES:
        raise InputError(f"loss: unknown loss {name!r}{nearest(name, LOSSES)}")
    return LOSSES[name]
