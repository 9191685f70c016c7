"""Greedy decoding of many utterances at once: the best token of each, until its end, by whatever writes token by token.

An utterance that has ended leaves the batch. Keys and values are written into room made beforehand: growing them by
concatenation, as Hugging Face's caches do, copies all of them at every step.

Shapes: B utterances that still write, T positions, V vocabulary.
"""

import inspect
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import Cache
from transformers.cache_utils import DynamicLayer

ROOM = 64
"""Positions added where a cache is full: one copy in so many steps, and no more memory than that is idle."""


class Writer(Protocol):
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


def write(writer: Writer, limits: Sequence[int], end: int | None) -> list[list[int]]:
    """Token ids without the end token, one list an utterance, each at most as long as its limit of 1 or more."""
    written: list[list[int]] = [[] for _ in limits]
    rows = list(range(len(limits)))
    best_B = writer.start().argmax(-1)
    while True:
        tokens = best_B.tolist()
        for row, token in zip(rows, tokens, strict=True):
            if token != end:
                written[row].append(token)
        going = [
            place
            for place, (row, token) in enumerate(zip(rows, tokens, strict=True))
            if token != end and len(written[row]) < limits[row]
        ]
        if not going:
            return written
        if len(going) < len(rows):
            rows = [rows[place] for place in going]
            kept = torch.tensor(going, device=best_B.device)
            writer.keep(kept)
            best_B = best_B[kept]
        best_B = writer.step(best_B).argmax(-1)


def roomy_cache() -> Cache:
    """An empty cache of keys and values that grows in place."""
    return Cache(layer_class_to_replicate=_RoomyLayer)


def as_cache(module: nn.Module, cache: Cache | None) -> dict[str, Cache | None]:
    """The cache under the name by which a module of transformers takes it: `cache` since 5.24."""
    name = "cache" if "cache" in inspect.signature(type(module).forward).parameters else "past_key_values"
    return {name: cache}


class _RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values (B, heads, T, head width) of one layer: views of the room they have."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        before = self.get_seq_length()
        after = before + key_states.shape[2]
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._rooms = [states[:, :, :0] for states in (key_states, value_states)]
        if after > self._rooms[0].shape[2]:
            self._rooms = [_roomier(room, before, after + ROOM) for room in self._rooms]
        for room, states in zip(self._rooms, (key_states, value_states), strict=True):
            room[:, :, before:after] = states
        self._show(after)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        self._rooms = [room[indices] for room in self._rooms]
        self._show(self.get_seq_length())

    def _show(self, length: int) -> None:
        self.keys, self.values = (room[:, :, :length] for room in self._rooms)


def _roomier(room: Tensor, used: int, positions: int) -> Tensor:
    found = room.new_empty(*room.shape[:2], positions, room.shape[3])
    found[:, :, :used] = room[:, :, :used]
    return found
