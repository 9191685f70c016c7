"""How often a run is evaluated on dev data while it trains, and what measuring its hearing costs."""

import numpy as np

from scaling.arrays import IntArray
from scaling.cost.decoding import Forward
from scaling.cost.flops import charged, exact_sum
from scaling.cost.model_shape import ModelShape
from scaling.spec import Part
from scaling.speech.lengths import Lengths

FIRST_DEV_EVALUATION_SECONDS = 60.0
"""A stage that trains for less has no look at dev."""

DEV_EVALUATION_OVER_TRAINING = 1 / 9
"""Time of looks over that of training, after the first look: the trainer spends a tenth of both on looks."""

HEARING_UTTERANCES = 100
"""Dev utterances that hearing is measured on, evenly over the set, so that all of its speakers are among them: the null
runs of LOG.md then stay within a fifth of what counts as hearing."""

HEARING_OVER_TRAINING = DEV_EVALUATION_OVER_TRAINING / 2
"""FLOPs of measuring hearing over those of training: half of what looks may take, whose other half decodes dev."""

HEARING_SPACING = 2**0.25
"""The least ratio of two positions at which hearing is measured: onsets known within 19 %, few looks a stage."""


def heard_utterances(utterances: int) -> IntArray:
    """The utterances of a dev set of this size that hearing is measured on (H,).

    >>> heard_utterances(3), len(heard_utterances(10**6))
    (array([0, 1, 2]), 100)
    """
    count = min(utterances, HEARING_UTTERANCES)
    return np.unique(np.linspace(0, utterances - 1, count).round().astype(np.int64))


def hearing_flops(model_shape: ModelShape, lengths: Lengths) -> int:
    """FLOPs of measuring hearing on these utterances, encoded once and read by the LLM twice; never charged."""
    first, again = (charged(model_shape, Forward(), lengths, only) for only in (None, {Part.PROJECTOR, Part.LLM}))
    return exact_sum(first) + exact_sum(again)


def next_hearing_look(hearing_flops: int, after_flops: float) -> float:
    """The first position of a stage after `after_flops` at which hearing is to be measured, in FLOPs charged to it.

    Positions depend on nothing else, so that a resumed run and one that shares its trunk have the same looks. They are
    as close as `HEARING_OVER_TRAINING` and `HEARING_SPACING` allow.

    >>> [round(next_hearing_look(10, flops)) for flops in (0, 179, 180, 900, 952)]
    [180, 180, 360, 1080, 1080]
    """
    least = hearing_flops / HEARING_OVER_TRAINING
    position = least
    while position <= after_flops:
        position = max(position + least, position * HEARING_SPACING)
    return position


def look_seconds(trained_seconds: float) -> float:
    """Time of the looks at dev in a node that trains for so long."""
    return trained_seconds * DEV_EVALUATION_OVER_TRAINING if trained_seconds > FIRST_DEV_EVALUATION_SECONDS else 0.0
