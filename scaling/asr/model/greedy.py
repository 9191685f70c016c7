"""Greedy decoding of many utterances at once: the best token of each, until its end, by whatever writes token by token.

Examples that have ended leave the batch once they are a quarter of it: leaving copies the keys and values of those
that stay. Keys and values are written into room made beforehand: growing them by concatenation, as Hugging Face's
caches do, copies all of them at every step.

Shapes: N utterances, B of them in the batch, T positions, V vocabulary.
"""

import inspect
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import Cache
from transformers.cache_utils import DynamicLayer

ROOM = 16
"""Positions added where a cache is full: one copy in so many steps. More of them spread keys and values over more
memory, and cost more than the copies saved (measured with the minis: a tenth of decoding with 64)."""

STILL_WRITING = 0.75
"""Share of a batch that has not ended below which the others leave: copying a row of keys and values costs as much as
to write one or two more tokens to it (measured with the minis)."""


class StepDecoder(Protocol):
    """What writes: one row an utterance."""

    def start(self) -> Tensor:
        """Logits (B, V) of every first token."""
        ...

    def step(self, ids_B: Tensor) -> Tensor:
        """Logits (B, V) of what follows these tokens."""
        ...

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows alone."""
        ...


def never() -> bool:
    """Nobody asks to stop."""
    return False


def decode(
    writer: StepDecoder, limits: Sequence[int], end: int | None, should_stop: Callable[[], bool] = never
) -> list[list[int]]:
    """Token ids without the end token, one list an utterance, each at most as long as its limit of 1 or more.

    `should_stop` is asked after every token; what is written until then is returned where it turns true.
    """
    best_B = writer.start().argmax(-1)
    rows_B = torch.arange(len(limits), device=best_B.device)
    limits_B = torch.tensor(limits, device=best_B.device)
    writing_B = torch.ones_like(rows_B, dtype=torch.bool)
    ids_NT, lengths_N = best_B.new_zeros(len(limits), max(limits)), torch.zeros_like(rows_B)
    for length in range(1, max(limits) + 1):
        if end is not None:
            writing_B = writing_B & (best_B != end)
        ids_NT[rows_B, length - 1] = best_B
        lengths_N[rows_B] += writing_B
        writing_B = writing_B & (limits_B > length)
        still = int(writing_B.sum())
        if still == 0 or should_stop():
            break
        if still < STILL_WRITING * len(rows_B):
            kept = writing_B.nonzero().squeeze(1)
            writer.keep(kept)
            best_B, rows_B, limits_B, writing_B = (each[kept] for each in (best_B, rows_B, limits_B, writing_B))
        best_B = writer.step(best_B).argmax(-1)
    return [ids[:length] for ids, length in zip(ids_NT.tolist(), lengths_N.tolist(), strict=True)]


def merge_caches(caches: Sequence[Cache]) -> Cache:
    """One cache of the rows of several, which grows in place. Rows end together: before shorter ones are zeros."""
    return Cache(layers=[_RoomyLayer(parts) for parts in zip(*(each.layers for each in caches), strict=True)])


def cache_argument(module: nn.Module, cache: Cache | None) -> dict[str, Cache | None]:
    """The cache under the name by which a module of transformers takes it."""
    return {_cache_name(type(module).forward): cache}


@lru_cache
def _cache_name(forward: Callable[..., Any]) -> str:
    """`cache` since transformers 5.24."""
    return "cache" if "cache" in inspect.signature(forward).parameters else "past_key_values"


class _RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values (B, heads, T, head width) of one layer: views of the room they have."""

    def __init__(self, parts: Sequence[DynamicLayer]) -> None:
        super().__init__()
        self.is_initialized = True
        self._rooms = [_stacked([part.keys for part in parts]), _stacked([part.values for part in parts])]
        self._show(max(part.get_seq_length() for part in parts))

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        before = self.get_seq_length()
        after = before + key_states.shape[2]
        if after > self._rooms[0].shape[2]:
            self._rooms = [_stacked([states]) for states in (self.keys, self.values)]
        for room, states in zip(self._rooms, (key_states, value_states), strict=True):
            room[:, :, before:after] = states
        self._show(after)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        length = self.get_seq_length()
        rooms = [_room(states, len(indices)) for states in (self.keys, self.values)]
        for room, states in zip(rooms, (self.keys, self.values), strict=True):
            torch.index_select(states, 0, indices, out=room[:, :, :length])
        self._rooms = rooms
        self._show(length)

    def _show(self, length: int) -> None:
        self.keys, self.values = (room[:, :, :length] for room in self._rooms)


def _stacked(parts: Sequence[Tensor]) -> Tensor:
    """States (B, heads, T, head width) of several batches in one room, aligned at their last position."""
    longest = max(parts, key=lambda part: part.shape[2])
    room, length = _room(longest, sum(map(len, parts))), longest.shape[2]
    for rows, part in zip(torch.split(room, [len(part) for part in parts]), parts, strict=True):
        before = length - part.shape[2]
        rows[:, :, :before] = 0
        rows[:, :, before:length] = part
    return room


def _room(states: Tensor, rows: int) -> Tensor:
    """Room for so many rows of such states (B, heads, T, head width), and for more positions."""
    return states.new_empty(rows, states.shape[1], states.shape[2] + ROOM, states.shape[3])
