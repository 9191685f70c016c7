"""The interval of an error rate: a bootstrap over the speakers of the test set.

After Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation" (2004).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

LEVEL = 0.90
"""The level of every interval that the product reports where none is asked for."""

DRAWS = 2000
"""With so many draws, the ends of an interval vary by about 3 % of its width."""

CHUNK = 2_000_000
"""Units drawn at once, which take 16 MB."""

FEWEST_SPEAKERS = 2
"""With one speaker, utterances are resampled instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateInterval:
    """The range of the rate in the middle 90 % of the resamples of `units` speakers or utterances (`resampled`)."""

    low: float
    high: float
    resampled: str
    units: int


def rate_interval(errors: Sequence[int], lengths: Sequence[int], speakers: Sequence[str]) -> RateInterval | None:
    """Percentile interval of sum(errors) / sum(lengths), (N,) each, over speakers drawn with replacement.

    Errors of one speaker are correlated, so that an interval from drawing utterances is too narrow. Utterances are
    drawn only where fewer than two speakers are named, and `resampled` says so. None where there is one unit, or no
    reference.
    """
    by_speaker = len({speaker for speaker in speakers if speaker}) >= FEWEST_SPEAKERS
    labels = [speaker or f"utterance {i}" for i, speaker in enumerate(speakers)] if by_speaker else range(len(speakers))
    index = np.unique(np.asarray(labels), return_inverse=True)[1]
    units = int(index.max()) + 1 if len(index) else 0
    if units < 2 or not sum(lengths):
        return None
    errors_U, lengths_U = (np.bincount(index, weights=np.asarray(counts, dtype=float)) for counts in (errors, lengths))
    rates = _resampled_rates(errors_U, lengths_U)
    low, high = np.quantile(rates, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    resampled = "speakers" if by_speaker else "utterances"
    return RateInterval(low=float(low), high=float(high), resampled=resampled, units=units)


def _resampled_rates(errors_U: npt.NDArray[Any], lengths_U: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Rates of the draws (DRAWS,), without draws that have no reference, from the counts of U units."""
    rng, units, rates = np.random.default_rng(0), len(errors_U), []
    step = max(1, CHUNK // units)
    for first in range(0, DRAWS, step):
        drawn = rng.integers(units, size=(min(step, DRAWS - first), units))
        length = lengths_U[drawn].sum(1)
        rates.append(errors_U[drawn].sum(1)[length > 0] / length[length > 0])
    return np.concatenate(rates)
