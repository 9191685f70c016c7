"""When a run began to hear, from its looks."""

import pytest

from scaling.ledger.hearing import HEARS_ABOVE_NATS, Hearing, onset


def look(flops: int, low: float | None) -> Hearing:
    return Hearing(flops=flops, nats=1.0, low=low, high=2.0, resampled=None, n_utterances=3)


DEAF, HEARD = HEARS_ABOVE_NATS, HEARS_ABOVE_NATS + 1e-9


@pytest.mark.parametrize(
    ("lows", "expected"),
    [
        ([DEAF, DEAF, HEARD, HEARD], (1, 2)),
        ([HEARD, HEARD], (None, 0)),
        ([DEAF, DEAF], (1, None)),
        ([DEAF, HEARD, DEAF, HEARD], (2, 3)),  # it lost its hearing once
        ([HEARD, DEAF], (1, None)),
        ([DEAF, None, HEARD], (0, 2)),  # without an interval nobody knows
        ([], (None, None)),
    ],
)
def test_the_onset_lies_after_the_last_look_that_did_not_hear(lows, expected) -> None:
    assert tuple(onset([look(flops, low) for flops, low in enumerate(lows)])) == expected
