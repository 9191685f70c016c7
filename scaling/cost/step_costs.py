"""What the steps of one stage cost, in three currencies, from lengths alone: the same for trainer and plan."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scaling.arrays import IntArray
from scaling.cost.flops import StageLike, charged, executed_batches
from scaling.cost.model_shape import ModelShape
from scaling.spec import Part
from scaling.speech.batches import MicroBatches
from scaling.speech.lengths import Lengths

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCosts:
    """FLOPs of n steps, each of shape (n,): `charged`, `executed` without and with credit for kept outputs."""

    charged: IntArray
    executed: IntArray
    cache_credited: IntArray


def encoder_is_frozen(parts: Collection[Part]) -> bool:
    """Whether an encoder stays as it is while `parts` train."""
    return not {Part.ENCODER, Part.ENCODER_LORA} & set(parts)


class StageMeter:
    """Counts the FLOPs of steps on `lengths` in one stage.

    *Charged* FLOPs are those of each utterance at its real lengths. *Executed* FLOPs are those of padded batches, as if
    no output of a frozen encoder were kept, so that they depend on no cache. *Cache-credited* FLOPs are executed FLOPs
    that count each output of a frozen encoder once, as with a cache that keeps everything. Where the encoder trains,
    executed and cache-credited FLOPs are the same.

    `encoder_unpadded`: a frozen encoder processes utterances without padding (on CPUs), not in padded pieces.
    `recompute`: layers run again under gradient checkpointing, which is executed and cache-credited, never charged.
    """

    def __init__(
        self,
        model_shape: ModelShape,
        training: StageLike,
        lengths: Lengths,
        *,
        encoder_unpadded: bool,
        recompute: bool = False,
    ) -> None:
        self.encoder_frozen = encoder_is_frozen(training.parts)
        self._model_shape, self._training, self._lengths, self._recompute = model_shape, training, lengths, recompute
        self._charged_N = charged(model_shape, training, lengths)
        self._encoder_N = charged(model_shape, training, lengths, {Part.ENCODER}) if encoder_unpadded else None

    def costs(self, steps: Sequence[MicroBatches], encoded: BoolArray) -> StepCosts:
        """FLOPs of each step; `encoded` (N,) marks utterances that this state of the encoder has heard before them."""
        pieces = [piece for step in steps for piece in step.pieces]
        firsts = np.cumsum([0, *(len(step.pieces) for step in steps[:-1])])

        def of_steps(flops_P: IntArray) -> IntArray:
            return np.add.reduceat(flops_P, firsts)

        charged_S = _sums(self._charged_N, [step.batch for step in steps])
        if not self.encoder_frozen:
            executed_S = of_steps(self._executed(pieces, None))
            return StepCosts(charged=charged_S, executed=executed_S, cache_credited=executed_S)
        rest_P = self._executed(pieces, set(Part) - {Part.ENCODER})
        new = [piece[~encoded[piece]] for piece in pieces]
        return StepCosts(
            charged=charged_S,
            executed=of_steps(rest_P + self._encoder(pieces)),
            cache_credited=of_steps(rest_P + self._encoder(new)),
        )

    def _encoder(self, pieces: Sequence[IntArray]) -> IntArray:
        """FLOPs of the frozen encoder; a piece may be empty."""
        if self._encoder_N is not None:
            return _sums(self._encoder_N, pieces)
        flops_P = np.zeros(len(pieces), dtype=np.int64)
        filled = [place for place, piece in enumerate(pieces) if len(piece)]
        if filled:
            flops_P[filled] = self._executed([pieces[place] for place in filled], {Part.ENCODER})
        return flops_P

    def _executed(self, pieces: Sequence[IntArray], only: set[Part] | None) -> IntArray:
        return executed_batches(
            self._model_shape, self._training, self._lengths, pieces, only, recompute=self._recompute
        )


def _sums(values_N: IntArray, batches: Sequence[IntArray]) -> IntArray:
    return np.array([values_N[batch].sum() for batch in batches], dtype=np.int64)
