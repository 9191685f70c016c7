"""Greedy decoding ends: at the end token, at an utterance's limit, and in a loop."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from scaling.asr.evaluation.decode import max_tokens_per_second, token_limits
from scaling.asr.model import greedy
from scaling.spec import Objective
from scaling.speech.lengths import Lengths

END = 9


class Script:
    """A decoder that writes given tokens (B, T), and counts the rows that it is asked for."""

    def __init__(self, rows: list[list[int]]) -> None:
        self._ids_BT, self._step, self.decoded = torch.tensor(rows), 0, 0

    def start(self) -> Tensor:
        return self.step(torch.empty(0))

    def step(self, ids_B: Tensor) -> Tensor:
        self._step += 1
        self.decoded += len(self._ids_BT)
        return functional.one_hot(self._ids_BT[:, self._step - 1], 10).float()

    def select(self, rows: Tensor) -> None:
        self._ids_BT = self._ids_BT[rows]


def lasting(*cycle: int, before: tuple[int, ...] = ()) -> list[int]:
    return [*before, *(list(cycle) * 200)][:200]


@pytest.mark.parametrize(
    ("row", "tokens"),
    [
        (lasting(3), 16),  # sixteen times one token
        (lasting(3, 4), 16),
        (lasting(1, 2, 3, 4, 5, 6, 7, 8), 64),  # eight times eight tokens
        (lasting(3, before=(1, 2, 3, 4)), 24),  # checked every eight tokens
        (lasting(1, 2, 3, 4, 5, 6, 7, 8, 0), 200),  # longer than a phrase
    ],
)
def test_an_utterance_that_loops_ends_in_the_loop(row: list[int], tokens: int) -> None:
    assert greedy.decode(Script([row]), [200], END) == [row[:tokens]]


@pytest.mark.parametrize(
    "row",
    [
        [*[3] * 15, 4, *[3] * 15, END],  # fifteen times, and again
        [*[1, 2] * 7, 1, 5, END],
        [*[1, 2, 3, 4, 5] * 7, 1, 2, 3, 4, END],
        [*range(1, 9), *range(8, 0, -1), END],
    ],
)
def test_what_is_repeated_less_often_is_written_to_its_end(row: list[int]) -> None:
    assert greedy.decode(Script([row]), [200], END) == [row[:-1]]


def test_a_loop_leaves_the_others_as_they_are_and_costs_no_more_steps() -> None:
    text = [*[1, 2, 3, 5, 8, 1, 3] * 3, 7, END] + [END] * 177
    script = Script([text, *[lasting(digit) for digit in range(4)]])
    assert greedy.decode(script, [200] * 5, END) == [text[:22], *[[digit] * 16 for digit in range(4)]]
    assert script.decoded < 5 * 16 + 200 - 16


def lengths(seconds: list[float], tokens: list[int]) -> Lengths:
    counts = np.array(tokens)
    return Lengths(samples=np.array([round(16_000 * s) for s in seconds]), asr_tokens=counts + 20, llm_tokens=counts)


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([30, 30], 7.5),  # the densest have 20 tokens over ten in 4 s, and half as much again is allowed
        ([11, 11], 5.0),
        ([99, 99], 15.0),
    ],
)
def test_hypotheses_may_be_half_as_dense_again_as_the_densest_training_text(tokens: list[int], expected: float) -> None:
    rate = max_tokens_per_second(lengths([4.0, 4.0], tokens), Objective.LLM)
    assert rate == pytest.approx(expected)
    assert token_limits(np.array([16_000 * 2]), expected) == [10 + int(2 * expected)]


def test_one_wrong_row_of_many_does_not_lift_the_limit() -> None:
    usual = lengths([4.0] * 2001, [30] * 2000 + [300])
    assert max_tokens_per_second(usual, Objective.LLM) == pytest.approx(7.5)
    assert max_tokens_per_second(usual, Objective.ASR) == 15.0
