"""Outputs of frozen encoders, kept within bounds: in memory, on local disk beyond that, and not at all beyond both."""

import os
import tempfile
import weakref
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from scaling.ledger.plan_file import CacheLimits
from scaling.system.cache import cache_dir


class EncoderOutputCache:
    """What a worker keeps, by state (an encoder's weights and a manifest), and by utterance within it.

    On disk a state is one file without a name in the cache directory: it ends with the worker, however that ends, and
    no worker sees another's. Where both bounds are reached, the state that was longest not asked for gives way.
    """

    def __init__(self, bounds: CacheLimits) -> None:
        self._memory_bytes, self._disk_bytes = bounds.memory_gib * 2**30, bounds.disk_gib * 2**30
        self._states: OrderedDict[str, CachedOutputs] = OrderedDict()

    def state(self, key: str) -> "CachedOutputs":
        """What is kept under `key`; empty at first."""
        found = self._states.setdefault(key, CachedOutputs(self))
        self._states.move_to_end(key)
        return found

    def make_room(self, size: int, asking: "CachedOutputs") -> tuple[bool, bool]:
        """Whether `size` bytes fit in memory, and on disk, once older states have given way to `asking` if need be."""
        while True:
            in_memory = sum(state.memory_bytes for state in self._states.values()) + size <= self._memory_bytes
            on_disk = sum(state.disk_bytes for state in self._states.values()) + size <= self._disk_bytes
            oldest = next((state for state in self._states.values() if state.memory_bytes or state.disk_bytes), asking)
            if in_memory or on_disk or oldest is asking:
                return in_memory, on_disk
            oldest.clear()


@dataclass(slots=True, eq=False)
class CachedOutputs:
    """Tensors (S, E) of one encoder state, by utterance. What does not fit is not kept."""

    _kept: EncoderOutputCache
    memory_bytes: int = 0
    disk_bytes: int = 0
    _memory: dict[int, Tensor] = field(default_factory=dict)
    _places: dict[int, tuple[int, torch.Size, torch.dtype]] = field(default_factory=dict)
    _file: "_NamelessFile | None" = None

    def __contains__(self, index: object) -> bool:
        return index in self._memory or index in self._places

    def get(self, index: int) -> Tensor | None:
        """The tensor of an utterance, on the CPU; None where it is not kept."""
        if index in self._memory:
            return self._memory[index]
        if index not in self._places or self._file is None:
            return None
        start, shape, dtype = self._places[index]
        content = bytearray(shape.numel() * dtype.itemsize)
        os.preadv(self._file.descriptor, [content], start)
        return torch.frombuffer(content, dtype=dtype).reshape(shape)

    def put(self, index: int, tensor: Tensor) -> None:
        """Keep a tensor on the CPU, where there is room: only then is it brought there. A second one is not kept."""
        if index in self:
            return
        in_memory, on_disk = self._kept.make_room(tensor.nbytes, self)
        if in_memory:
            self._memory[index] = tensor.cpu()
            self.memory_bytes += tensor.nbytes
        elif on_disk:
            self._write(index, tensor)

    def clear(self) -> None:
        """Keep nothing any longer."""
        self._memory.clear()
        self._places.clear()
        self._file, self.memory_bytes, self.disk_bytes = None, 0, 0

    def _write(self, index: int, tensor: Tensor) -> None:
        content = tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        try:
            self._file = self._file or _NamelessFile()
            written = os.pwrite(self._file.descriptor, content, self.disk_bytes)
        except OSError:  # a full disk: what is not kept is computed again
            return
        if written == len(content):
            self._places[index] = (self.disk_bytes, tensor.shape, tensor.dtype)
            self.disk_bytes += written


class _NamelessFile:
    """A file in the cache directory that has no name any more: its space is free again once nobody holds it."""

    def __init__(self) -> None:
        cache_dir().mkdir(parents=True, exist_ok=True)
        self.descriptor, name = tempfile.mkstemp(dir=cache_dir())
        weakref.finalize(self, os.close, self.descriptor)
        Path(name).unlink()
