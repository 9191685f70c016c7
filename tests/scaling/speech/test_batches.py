"""The order of utterances: complete, deterministic, well packed, resumable at any place."""

from itertools import islice

import numpy as np
import pytest

from scaling.speech.batches import POOL_UTTERANCES, BatchStream, Position

SPEECH = np.clip(np.random.default_rng(0).lognormal(1.0, 0.5, 3000), 1, 8) * 16_000


def stream(batch_audio_seconds=48.0, seed=0, samples=SPEECH):
    return BatchStream(samples.astype(np.int64), seed, batch_audio_seconds)


def one_epoch(of):
    batches = []
    for batch, after in of.batches(Position(0, 0)):
        batches.append(batch)
        if after.pool == of.pools_per_epoch:
            return batches
    raise AssertionError


def test_an_epoch_reads_every_utterance_once():
    assert sorted(np.concatenate(one_epoch(stream()))) == list(range(len(SPEECH)))


def test_batches_stay_within_their_padded_length_and_waste_little():
    epoch = one_epoch(stream())
    padded = [len(batch) * SPEECH[batch].max() for batch in epoch]
    assert max(padded) <= 48 * 16_000
    assert SPEECH.sum() / sum(padded) > 0.93


def test_an_utterance_longer_than_a_batch_is_a_batch_of_its_own():
    assert {len(batch) for batch in one_epoch(stream(batch_audio_seconds=0.5))} == {1}


@pytest.mark.parametrize("start", [0, 1, 37, 200])
def test_going_on_from_any_position_reads_what_would_have_come(start):
    whole = list(islice(stream().batches(Position(0, 0)), start + 20))
    position = whole[start - 1][1] if start else Position(0, 0)
    for (batch, after), (expected, expected_after) in zip(
        islice(stream().batches(position), 20), whole[start:], strict=True
    ):
        assert np.array_equal(batch, expected)
        assert after == expected_after


def test_seeds_and_epochs_differ():
    first = one_epoch(stream())
    assert not np.array_equal(first[0], one_epoch(stream(seed=1))[0])
    second = next(stream().batches(Position(stream().pools_per_epoch, 0)))[0]
    assert not np.array_equal(first[0], second)


def test_a_new_stage_goes_on_with_speech_that_was_not_read_yet():
    of = stream()
    read = list(islice(of.batches(Position(0, 0)), 5))
    assert read[-1][1].batch == 5
    following = next(of.batches(read[-1][1].next_stage()))[0]
    assert not set(following) & set(np.concatenate([batch for batch, _ in read]))
    assert len(SPEECH) > 2 * POOL_UTTERANCES
