"""What a frozen encoder hears together: a partition by length and pool, the same whoever asks."""

import numpy as np

from scaling.asr.inputs.encoder_groups import EncoderGroups
from scaling.speech.batches import BatchStream, Position

SAMPLES = np.random.default_rng(0).integers(8_000, 80_000, 1500)
FRAMES = SAMPLES // 1600
STREAM = BatchStream(SAMPLES, 3, 20.0)
MOST = 200_000


def partition(groups: EncoderGroups) -> set[tuple[int, ...]]:
    return {tuple(groups.group_of(index)) for index in range(len(SAMPLES))}


def test_every_utterance_is_in_one_group_with_others_of_its_length_and_pool():
    pools, found = STREAM.first_epoch_pools(), partition(EncoderGroups.of(FRAMES, STREAM, MOST))
    assert sorted(index for group in found for index in group) == list(range(len(SAMPLES)))
    for group in found:
        chosen = list(group)
        assert len({*FRAMES[chosen]}) == len({*pools[chosen]}) == 1
        assert len(group) == 1 or SAMPLES[chosen].sum() <= MOST + 1600 * len(group)
    assert len(found) < len(SAMPLES) / 2


def test_a_group_ends_for_no_other_reason_than_length_pool_and_audio():
    pools, found = STREAM.first_epoch_pools(), partition(EncoderGroups.of(FRAMES, STREAM, 10**9))
    assert len(found) == len({*zip(pools.tolist(), FRAMES.tolist(), strict=True)})


def test_no_audio_means_that_each_is_heard_alone():
    assert partition(EncoderGroups.of(FRAMES, STREAM, 0)) == {(index,) for index in range(len(SAMPLES))}


def test_pools_are_those_of_the_first_epoch():
    first = next(STREAM.pools(Position(0, 0)))
    read = {index for batch, _ in first for index in batch.tolist()}
    assert read == set(np.flatnonzero(STREAM.first_epoch_pools() == 0).tolist())
