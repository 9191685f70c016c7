"""FLOPs of decoding, by a key-value cache; they are never charged to training."""

from typing import NamedTuple

import numpy as np

from scaling.arrays import IntArray
from scaling.base_models.matmul_tape import Work
from scaling.cost.flops import executed, part_rates
from scaling.cost.model_shape import ModelShape
from scaling.spec import SAMPLE_RATE, Objective, Part
from scaling.speech.lengths import Lengths

BATCH_AUDIO_SECONDS = 240.0
"""Padded audio that is decoded together at least, about 64 utterances: greedy decoding is bound by memory traffic and
gains most of what batching gives by then (measured). Keys and values of a 7B LLM take 3 GB (assumption: that is to
spare beside it)."""

SAMPLED_BATCHES = 16
"""Batches that are priced, evenly over the lengths: within 2 % of all of them, whatever the size of the set."""


class Forward(NamedTuple):
    """A forward pass of an objective, by default the LLM's: nothing trains."""

    objective: Objective = Objective.LLM
    parts: frozenset[Part] = frozenset()


def decoding_flops(model_shape: ModelShape, objective: Objective, lengths: Lengths) -> int:
    """FLOPs of greedy decoding, in padded batches of similar length, to the references' lengths (assumption)."""
    tokens = lengths.asr_tokens if objective is Objective.ASR else lengths.llm_tokens
    batches = _batches(lengths.samples)
    step = -(-len(batches) // SAMPLED_BATCHES)
    priced = batches[step // 2 :: step]
    flops = sum(
        sum(generation_flops(model_shape, objective, lengths[batch], int(tokens[batch].max())).values())
        for batch in priced
    )
    return flops * int(lengths.samples.sum()) // int(lengths.samples[np.concatenate(priced)].sum())


def generation_flops(
    model_shape: ModelShape, objective: Objective, lengths: Lengths, new_tokens: int, beams: int = 1
) -> dict[str, int]:
    """FLOPs of decoding all utterances as one padded batch, `new_tokens` each: never charged to training.

    By phase: `encoder`, `projector` (objective `llm`), `prefill` (prompt and speech through the language model, or the
    prompt through the ASR decoder with its keys and values of the speech), and `steps`, the `new_tokens - 1` positions
    fed one at a time with a key-value cache. Logits are formed at one position a sequence and phase. Beams multiply
    everything after the encoder and projector, the prefill included, because sequences are expanded before it.
    Adapters count as merged. Only the lengths of speech and prompt matter; target tokens of `lengths` are not used.
    """
    sequences, fed = len(lengths) * beams, new_tokens - 1
    frames = int(model_shape.encoder_frames(lengths).max())
    if objective is Objective.ASR:
        prompt, part = model_shape.asr_prompt_extra + 1, Part.ASR_DECODER
        prefill = {
            Work.DECODER: prompt,
            Work.DECODER_PAIRS: prompt**2,
            Work.CROSS_FRAMES: frames,
            Work.CROSS_PAIRS: prompt * frames,
            Work.ASR_TARGETS: 1,
            Work.ENCODER_FRAMES: frames,
        }
        steps = {
            Work.DECODER: fed,
            Work.DECODER_PAIRS: _growing_pairs(prompt, fed),
            Work.CROSS_PAIRS: fed * frames,
            Work.ASR_TARGETS: fed,
        }
    else:
        prompt = int(model_shape.speech_tokens(lengths).max()) + model_shape.llm_prompt_tokens + 1
        part = Part.LLM
        prefill = {Work.LLM: prompt, Work.LLM_PAIRS: prompt**2, Work.LLM_TARGETS: 1}
        steps = {Work.LLM: fed, Work.LLM_PAIRS: _growing_pairs(prompt, fed), Work.LLM_TARGETS: fed}
    before = executed(model_shape, Forward(objective), lengths)
    rates = part_rates(model_shape, objective, frozenset())[part].forward
    return {
        **{name.value: cost.forward for name, cost in before.items() if name is not part},
        "prefill": sum(rate * sequences * prefill.get(work, 0) for work, rate in rates.items()),
        "steps": sum(rate * sequences * steps.get(work, 0) for work, rate in rates.items()),
    }


def _batches(samples: IntArray) -> list[IntArray]:
    """Utterances that are decoded together, the shortest first."""
    by_length = np.argsort(samples, kind="stable")
    before = np.cumsum(samples[by_length]) - samples[by_length]
    number = before // round(BATCH_AUDIO_SECONDS * SAMPLE_RATE)
    return np.split(by_length, np.flatnonzero(np.diff(number)) + 1)


def _growing_pairs(prompt: int, fed: int) -> int:
    """Query-key pairs of `fed` single positions, each seeing the prompt, those fed before it, and itself."""
    return fed * prompt + fed * (fed + 1) // 2
