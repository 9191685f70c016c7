"""Intervals of error rates: they hold the truth over speakers, and say over what they were drawn."""

import numpy as np
import pytest

from scaling.scoring.interval import rate_interval


def test_an_interval_over_speakers_holds_the_truth_as_often_as_it_says_and_one_over_utterances_does_not():
    """Speakers' own rates scatter around 10 %: 40 speakers of 25 utterances, 150 test sets."""
    rng = np.random.default_rng(1)
    held = {"speakers": 0, "utterances": 0}
    for _ in range(150):
        rates = np.clip(rng.normal(0.10, 0.05, 40), 0.0, 1.0)
        errors = rng.binomial(12, np.repeat(rates, 25)).tolist()
        speakers = [f"s{i // 25}" for i in range(1000)]
        for named in (True, False):
            found = rate_interval(errors, [12] * 1000, speakers if named else [""] * 1000)
            assert found.resampled == ("speakers" if named else "utterances")
            held[found.resampled] += found.low <= 0.1 <= found.high
    assert 0.84 <= held["speakers"] / 150 <= 0.95
    assert held["utterances"] / 150 < 0.6


def test_the_interval_of_independent_utterances_is_the_binomials():
    errors = np.random.default_rng(0).binomial(1, 0.2, 5000)
    found = rate_interval(errors.tolist(), [1] * 5000, [""] * 5000)
    half = 1.645 * np.sqrt(0.2 * 0.8 / 5000)
    assert found.high - found.low == pytest.approx(2 * half, rel=0.1)
    assert found.units == 5000


def test_one_speaker_is_drawn_by_utterance_and_one_utterance_not_at_all():
    found = rate_interval([1, 0, 2], [4, 4, 4], ["S0252"] * 3)
    assert (found.resampled, found.units) == ("utterances", 3)
    assert rate_interval([1], [4], ["a"]) is None
    assert rate_interval([], [], []) is None
    assert rate_interval([1, 1], [0, 0], ["a", "b"]) is None


def test_utterances_without_a_speaker_are_speakers_of_their_own():
    assert rate_interval([1, 0, 2], [4, 4, 4], ["a", "b", ""]).units == 3
