"""What the steps of one stage cost, in three currencies, from lengths alone: the same for trainer and plan."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scaling.flops import Training, charged, executed_batches
from scaling.geometry import Geometry
from scaling.lengths import Lengths
from scaling.spec import Part
from scaling.strings import IntArray

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """FLOPs of n batches, each of shape (n,): `charged`, `executed` without and with credit for kept outputs."""

    charged: IntArray
    executed: IntArray
    cache_credited: IntArray


def encoder_is_frozen(parts: Collection[Part]) -> bool:
    """Whether an encoder stays as it is while `parts` train."""
    return not {Part.ENCODER, Part.ENCODER_LORA} & set(parts)


class Meter:
    """Prices batches of `lengths` in a stage.

    *charged* is each utterance at its real lengths; *executed* is what runs, padding and all, as if nothing were ever
    kept, so that it depends on no cache; *cache-credited* is executed with each output of a frozen encoder counted the
    first time alone, as with a cache that never forgets. Where the encoder trains, the last two are the same.

    `encoder_alone`: a frozen encoder hears each utterance as a batch of its own (CPUs), not the batch as it comes.
    """

    def __init__(self, geometry: Geometry, training: Training, lengths: Lengths, *, encoder_alone: bool) -> None:
        self.encoder_frozen = encoder_is_frozen(training.parts)
        self._geometry, self._training, self._lengths = geometry, training, lengths
        self._charged_N = charged(geometry, training, lengths)
        self._encoder_N = charged(geometry, training, lengths, {Part.ENCODER}) if encoder_alone else None

    def costs(self, batches: Sequence[IntArray], encoded: BoolArray) -> Costs:
        """FLOPs of each batch of indices; `encoded` (N,) marks utterances that this state of the encoder has heard."""
        charged_B = _sums(self._charged_N, batches)
        if not self.encoder_frozen:
            executed_B = self._executed(batches, None)
            return Costs(charged=charged_B, executed=executed_B, cache_credited=executed_B)
        rest_B = self._executed(batches, set(Part) - {Part.ENCODER})
        new = [batch[~encoded[batch]] for batch in batches]
        return Costs(
            charged=charged_B, executed=rest_B + self._encoder(batches), cache_credited=rest_B + self._encoder(new)
        )

    def _encoder(self, batches: Sequence[IntArray]) -> IntArray:
        """FLOPs of the frozen encoder; a batch may be empty."""
        if self._encoder_N is not None:
            return _sums(self._encoder_N, batches)
        flops_B = np.zeros(len(batches), dtype=np.int64)
        heard = [place for place, batch in enumerate(batches) if len(batch)]
        if heard:
            flops_B[heard] = self._executed([batches[place] for place in heard], {Part.ENCODER})
        return flops_B

    def _executed(self, batches: Sequence[IntArray], only: set[Part] | None) -> IntArray:
        return executed_batches(self._geometry, self._training, self._lengths, batches, only)


def _sums(values_N: IntArray, batches: Sequence[IntArray]) -> IntArray:
    return np.array([values_N[batch].sum() for batch in batches], dtype=np.int64)
