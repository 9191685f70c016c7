"""Measures hearing: the loss of dev texts behind the right speech, and behind another utterance's speech.

The other speech is that of the next longer utterance with another text, cut to the same length, so that neither the
length nor a place in the batch tells which is right: both batches have the same shapes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch

from scaling.asr.evaluation.decode import ENCODED_AUDIO_SECONDS, encode_in_groups, encoded_batch, group_by_length
from scaling.asr.execution.precision import autocast
from scaling.asr.execution.ranks import SINGLE_PROCESS, Ranks
from scaling.asr.inputs.dataset import SpeechDataset
from scaling.asr.inputs.model_inputs import ModelInputs
from scaling.cost.evaluation_pacing import heard_utterances, hearing_flops
from scaling.cost.model_shape import ModelShape
from scaling.ledger.hearing import Hearing
from scaling.scoring.interval import rate_interval

NANOS = 1_000_000_000
"""Gains are summed in whole billionths of a nat, as errors are counted when a rate's interval is taken."""


class Pair(NamedTuple):
    """An utterance, and the one whose speech takes the place of its own."""

    own: int
    other: int


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class HearingTest:
    """The pairs of a dev set, the shortest first, which `inputs` reads; `flops` are those of one measurement, at most.

    Batches are `micro_batches` times smaller than usual, where memory is scarce. Each of `ranks` hears its share.
    """

    inputs: ModelInputs
    pairs: Sequence[Pair]
    flops: int
    micro_batches: int
    ranks: Ranks

    @classmethod
    def of(
        cls, inputs: ModelInputs, model_shape: ModelShape, micro_batches: int = 1, ranks: Ranks = SINGLE_PROCESS
    ) -> Self | None:
        """The test on a dev set; None where all of its texts are the same."""
        pairs = _pairs(inputs.dataset)
        if not pairs:
            return None
        flops = hearing_flops(model_shape, inputs.dataset.lengths[np.array([pair.own for pair in pairs])])
        return cls(inputs=inputs, pairs=pairs, flops=flops, micro_batches=micro_batches, ranks=ranks)

    def measure(self, flops: int) -> Hearing | None:
        """Hearing at this position in its stage; None where a loss is no number. Every module is left in eval mode."""
        gains = dict(pair for share in self.ranks.all_gather(self._gains()) for pair in share)
        if not all(map(math.isfinite, gains.values())):
            return None
        dataset, heard = self.inputs.dataset, sorted(gains)
        nanos = [round(NANOS * gains[index]) for index in heard]
        tokens = dataset.lengths.llm_tokens[heard].tolist()
        interval = rate_interval(nanos, tokens, [dataset.manifest.speakers[index] for index in heard])
        return Hearing(
            flops=flops,
            nats=sum(nanos) / NANOS / sum(tokens),
            low=None if interval is None else interval.low / NANOS,
            high=None if interval is None else interval.high / NANOS,
            resampled=None if interval is None else interval.resampled,
            n_utterances=len(heard),
        )

    @torch.no_grad()
    def _gains(self) -> list[tuple[int, float]]:
        """The utterances that this rank hears and their gains, each summed over target tokens."""
        model, dataset = self.inputs.model.eval(), self.inputs.dataset
        pairs = {pair.own: pair for pair in self.ranks.share(self.pairs)}
        needed = sorted({index for pair in pairs.values() for index in pair}, key=dataset.samples.__getitem__)
        if not needed:
            return []
        audio_seconds = ENCODED_AUDIO_SECONDS / self.micro_batches
        gains: list[tuple[int, float]] = []
        with autocast(self.inputs.precision, next(model.parameters()).device):
            outputs = dict(zip(needed, encode_in_groups(self.inputs, needed, audio_seconds), strict=True))
            for group in group_by_length(list(pairs), dataset.samples, audio_seconds):
                own = [outputs[index] for index in group]
                other = [outputs[pairs[index].other][: len(right)] for index, right in zip(group, own, strict=True)]
                targets = [target.to(own[0].device) for target in dataset.examples(group, group).llm_targets]
                right_B, wrong_B = (
                    model.llm_losses(encoded_batch(speech, targets)).double() for speech in (own, other)
                )
                gains += zip(group, (wrong_B - right_B).tolist(), strict=True)
        return gains


def _pairs(dataset: SpeechDataset) -> list[Pair]:
    """Each chosen utterance with the next longer one of another text; the longest have none and are not heard."""
    shortest_first = sorted(heard_utterances(len(dataset)).tolist(), key=dataset.samples.__getitem__)
    texts = [dataset.manifest.texts[index] for index in shortest_first]
    pairs = []
    for place, index in enumerate(shortest_first):
        others = (later for later in range(place + 1, len(texts)) if texts[later] != texts[place])
        if (other := next(others, None)) is not None:
            pairs.append(Pair(index, shortest_first[other]))
    return pairs
