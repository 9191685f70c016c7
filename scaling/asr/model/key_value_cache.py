"""Keys and values of decoded tokens in memory that is allocated ahead, so that a step writes one position.

Hugging Face's own caches grow by concatenation, which copies all keys and values at every step.

Shapes: B utterances in the batch, T positions.
"""

import inspect
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache
from transformers.cache_utils import DynamicLayer

SPARE_POSITIONS = 16
"""Positions added when a cache is full: one copy in so many steps. With more, keys and values are spread over more
memory, which costs more than the copies saved (measured with the minis: a tenth of decoding with 64)."""


def preallocated_cache(caches: Sequence[Cache]) -> Cache:
    """One growing cache with the rows of several. All rows end at the last position; shorter ones begin with zeros."""
    return Cache(
        layers=[_PreallocatedLayer(layers) for layers in zip(*(cache.layers for cache in caches), strict=True)]
    )


def cache_argument(module: nn.Module, cache: Cache | None) -> dict[str, Cache | None]:
    """The cache as a keyword argument, under the name that the `forward` of a module of transformers gives it."""
    return {_cache_name(type(module).forward): cache}


@lru_cache
def _cache_name(forward: Callable[..., Any]) -> str:
    """`cache` since transformers 5.24, `past_key_values` before."""
    return "cache" if "cache" in inspect.signature(forward).parameters else "past_key_values"


class _PreallocatedLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values (B, heads, T, head width) of one layer: views of the memory allocated for them."""

    def __init__(self, layers: Sequence[DynamicLayer]) -> None:
        super().__init__()
        self.is_initialized = True
        self._buffers = [_stacked([layer.keys for layer in layers]), _stacked([layer.values for layer in layers])]
        self._set_length(max(layer.get_seq_length() for layer in layers))

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        before = self.get_seq_length()
        after = before + key_states.shape[2]
        if after > self._buffers[0].shape[2]:
            self._buffers = [_stacked([states]) for states in (self.keys, self.values)]
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, before:after] = states
        self._set_length(after)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        length = self.get_seq_length()
        buffers = [_buffer(states, len(indices)) for states in (self.keys, self.values)]
        for buffer, states in zip(buffers, (self.keys, self.values), strict=True):
            torch.index_select(states, 0, indices, out=buffer[:, :, :length])
        self._buffers = buffers
        self._set_length(length)

    def _set_length(self, length: int) -> None:
        self.keys, self.values = (buffer[:, :, :length] for buffer in self._buffers)


def _stacked(parts: Sequence[Tensor]) -> Tensor:
    """States (B, heads, T, head width) of several batches in one buffer, aligned at their last position."""
    longest = max(parts, key=lambda part: part.shape[2])
    buffer, length = _buffer(longest, sum(map(len, parts))), longest.shape[2]
    for rows, part in zip(torch.split(buffer, [len(part) for part in parts]), parts, strict=True):
        before = length - part.shape[2]
        rows[:, :, :before] = 0
        rows[:, :, before:length] = part
    return buffer


def _buffer(states: Tensor, rows: int) -> Tensor:
    """Uninitialised memory for so many rows of such states (B, heads, T, head width), and for more positions."""
    return states.new_empty(rows, states.shape[1], states.shape[2] + SPARE_POSITIONS, states.shape[3])
