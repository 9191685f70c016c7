"""What decoding dev and test sets costs: FLOPs of greedy decoding, and the time of looks at dev during training."""

import numpy as np

from scaling.arrays import IntArray
from scaling.cost.flops import generation
from scaling.cost.model_shape import ModelShape
from scaling.spec import SAMPLE_RATE, Objective
from scaling.speech.lengths import Lengths

BATCH_AUDIO_SECONDS = 240.0
"""Padded audio that is decoded together at least, about 64 utterances: greedy decoding is bound by memory traffic and
gains most of what batching gives by then (measured). Keys and values of a 7B LLM take 3 GB (assumption: that is to
spare beside it)."""

SAMPLED_BATCHES = 16
"""Batches that are priced, evenly over the lengths: within 2 % of all of them, whatever the size of the set."""

FIRST_DEV_EVALUATION_SECONDS = 60.0
"""A stage that trains for less has no look at dev."""

DEV_EVALUATION_OVER_TRAINING = 1 / 9
"""Time of looks over that of training, after the first look: the trainer spends a tenth of both on looks."""


def decoding_flops(model_shape: ModelShape, objective: Objective, lengths: Lengths) -> int:
    """FLOPs of decoding all utterances greedily, in padded batches of similar length; never charged to training.

    Hypotheses are taken to be as long as the references in `lengths` (assumption).
    """
    tokens = lengths.asr_tokens if objective is Objective.ASR else lengths.llm_tokens
    batches = _batches(lengths.samples)
    step = -(-len(batches) // SAMPLED_BATCHES)
    priced = batches[step // 2 :: step]
    flops = sum(
        sum(generation(model_shape, objective, lengths[batch], int(tokens[batch].max())).values()) for batch in priced
    )
    return flops * int(lengths.samples.sum()) // int(lengths.samples[np.concatenate(priced)].sum())


def _batches(samples: IntArray) -> list[IntArray]:
    """Utterances that are decoded together, the shortest first."""
    by_length = np.argsort(samples, kind="stable")
    before = np.cumsum(samples[by_length]) - samples[by_length]
    number = before // round(BATCH_AUDIO_SECONDS * SAMPLE_RATE)
    return np.split(by_length, np.flatnonzero(np.diff(number)) + 1)


def look_seconds(trained_seconds: float) -> float:
    """Time of the looks at dev in a node that trains for so long."""
    return trained_seconds * DEV_EVALUATION_OVER_TRAINING if trained_seconds > FIRST_DEV_EVALUATION_SECONDS else 0.0
