"""How far an error rate would move on other speakers: a bootstrap over the speakers of the test set.

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
"""Ends of a 90 % interval then repeat to about 3 % of its width."""

CHUNK = 2_000_000
"""Units drawn at once: 16 MB."""

FEWEST_SPEAKERS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RateInterval:
    """Where the rate lies in 90 % of the resamples of `units` speakers or utterances (`resampled`)."""

    low: float
    high: float
    resampled: str
    units: int


def rate_interval(errors: Sequence[int], lengths: Sequence[int], speakers: Sequence[str]) -> RateInterval | None:
    """Percentile interval of sum(errors) / sum(lengths), (N,) each, over speakers drawn with replacement.

    Utterances of one speaker share what makes them hard, so drawing utterances gives intervals that are too narrow;
    where all are of one speaker, or none is named, nothing else can be drawn, and `resampled` says so.
    None where there is one unit, or no length.
    """
    named = len({speaker for speaker in speakers if speaker}) >= FEWEST_SPEAKERS
    labels = [speaker or f"utterance {i}" for i, speaker in enumerate(speakers)] if named else range(len(speakers))
    index = np.unique(np.asarray(labels), return_inverse=True)[1]
    units = int(index.max()) + 1 if len(index) else 0
    if units < 2 or not sum(lengths):
        return None
    wrong, spoken = (np.bincount(index, weights=np.asarray(counts, dtype=float)) for counts in (errors, lengths))
    rates = _resampled(wrong, spoken)
    low, high = np.quantile(rates, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return RateInterval(low=float(low), high=float(high), resampled="speakers" if named else "utterances", units=units)


def _resampled(wrong: npt.NDArray[Any], spoken: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Rates of the draws (DRAWS,), without draws that hold no reference."""
    rng, units, rates = np.random.default_rng(0), len(wrong), []
    step = max(1, CHUNK // units)
    for first in range(0, DRAWS, step):
        drawn = rng.integers(units, size=(min(step, DRAWS - first), units))
        length = spoken[drawn].sum(1)
        rates.append(wrong[drawn].sum(1)[length > 0] / length[length > 0])
    return np.concatenate(rates)
