"""Greedy decoding of many utterances at once: the most likely token at each step, until the end token of each or a
loop.

Utterances that have ended leave the batch once they are a quarter of it: their leaving copies the keys and values of
those that stay.

Shapes: N utterances, B of them in the batch, T tokens, V vocabulary.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

SMALLEST_ACTIVE_SHARE = 0.75
"""Share of a batch still being decoded below which the ended utterances leave: copying a row of keys and values costs
as much as to decode one or two more tokens of it (measured with the minis)."""


LONGEST_CYCLE = 8
"""Tokens of the longest cycle that counts as a loop (assumption: a phrase of half a dozen words)."""

LOOP_REPEATS = 8
"""So often a cycle has come in a row when an utterance is taken to loop; speech says nothing so often (assumption: of
eight random digits, one string in ten million)."""

LOOP_TOKENS = 16
"""The fewest tokens of a loop: one token comes so often in a row."""

LOOP_CHECK = 8
"""Tokens between two checks for loops."""


class StepDecoder(Protocol):
    """A decoder that computes logits token by token, with one row an utterance."""

    def start(self) -> Tensor:
        """Logits (B, V) of every utterance's first token."""
        ...

    def step(self, ids_B: Tensor) -> Tensor:
        """Logits (B, V) of the tokens that follow these."""
        ...

    def select(self, rows: Tensor) -> None:
        """Go on with these rows of the batch alone."""
        ...


def never() -> bool:
    """The `should_stop` of a caller that never stops."""
    return False


def decode(
    decoder: StepDecoder, limits: Sequence[int], end: int | None, should_stop: Callable[[], bool] = never
) -> list[list[int]]:
    """Token ids without the end token, one list an utterance, each at most as long as its limit of 1 or more.

    An utterance that loops ends in the loop: nothing but the limit would end it.

    `should_stop` is asked after every token; where it turns true, the tokens decoded until then are returned.
    """
    best_B = decoder.start().argmax(-1)
    rows_B = torch.arange(len(limits), device=best_B.device)
    limits_B = torch.tensor(limits, device=best_B.device)
    active_B = torch.ones_like(rows_B, dtype=torch.bool)
    ids_NT, lengths_N = best_B.new_zeros(len(limits), max(limits)), torch.zeros_like(rows_B)
    for length in range(1, max(limits) + 1):
        if end is not None:
            active_B = active_B & (best_B != end)
        ids_NT[rows_B, length - 1] = best_B
        lengths_N[rows_B] += active_B
        active_B = active_B & (limits_B > length)
        if length % LOOP_CHECK == 0 and length >= LOOP_TOKENS:
            active_B = active_B & ~loops(ids_NT[rows_B, :length])
        active = int(active_B.sum())
        if active == 0 or should_stop():
            break
        if active < SMALLEST_ACTIVE_SHARE * len(rows_B):
            stay = active_B.nonzero().squeeze(1)
            decoder.select(stay)
            best_B, rows_B, limits_B, active_B = (each[stay] for each in (best_B, rows_B, limits_B, active_B))
        best_B = decoder.step(best_B).argmax(-1)
    return [ids[:length] for ids, length in zip(ids_NT.tolist(), lengths_N.tolist(), strict=True)]


def loops(ids_BT: Tensor) -> Tensor:
    """Whether each row (B,) ends in a cycle that has come `LOOP_REPEATS` times, in `LOOP_TOKENS` tokens or more."""
    found_B = torch.zeros(len(ids_BT), dtype=torch.bool, device=ids_BT.device)
    for cycle in range(1, LONGEST_CYCLE + 1):
        tokens = max(LOOP_TOKENS, LOOP_REPEATS * cycle)
        if tokens <= ids_BT.shape[1]:
            tail = ids_BT[:, -tokens:]
            found_B |= (tail[:, cycle:] == tail[:, :-cycle]).all(-1)
    return found_B
