"""A lattice of FLOPs on which ends of intervals are computed, so that they can be made to fall and be interpolated.

More FLOPs never mean more error (assumption): what bounds the error at fewer FLOPs bounds it at more. Beyond the
largest run, where everything that is not known widens an interval, no end rises with FLOPs.
"""

from dataclasses import dataclass

import numpy as np

from analysis.forecasting.law_grid import Array

STEP = np.log(2.0) / 4.0
"""The lattice has four places for each doubling of the FLOPs: a straight line between them is within .1 %."""


@dataclass(frozen=True, slots=True)
class Lattice:
    """FLOPs (L,) of the lattice around the questions (Q,). Places are counted in steps from the largest run."""

    flops_L: Array
    _place_L: Array
    _place_Q: Array

    @classmethod
    def around(cls, flops_Q: Array, largest_run: float) -> "Lattice":
        """The places next to each question, and those between the largest run and the questions beyond it."""
        place_Q = np.log(flops_Q / largest_run) / STEP
        next_to = np.concatenate([np.floor(place_Q), np.ceil(place_Q)])
        place_L = np.unique(np.concatenate([next_to, np.arange(0.0, next_to.max())]))
        return cls(largest_run * np.exp(STEP * place_L), place_L, place_Q)

    def falling(self, log_error_L: Array) -> Array:
        """Log errors (Q,) at the questions, from those at the lattice; none rises beyond the largest run."""
        beyond = self._place_L >= 0.0
        falling_L = log_error_L.copy()
        falling_L[beyond] = np.minimum.accumulate(log_error_L[beyond])
        interpolated: Array = np.interp(self._place_Q, self._place_L, falling_L)
        return interpolated
