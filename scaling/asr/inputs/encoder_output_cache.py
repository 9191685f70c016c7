"""Outputs of frozen encoders, cached within limits: in memory first, then on local disk, and not at all beyond both."""

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
    """A worker's cached outputs by state, which is an encoder's weights and a manifest, and by utterance.

    On disk, the outputs of one state are a file without a name in the cache directory. The file disappears when the
    worker ends, in whatever way; no worker reads the file of another. Where both limits are reached, the least recently
    used state is cleared.
    """

    def __init__(self, limits: CacheLimits) -> None:
        self._memory_bytes, self._disk_bytes = limits.memory_gib * 2**30, limits.disk_gib * 2**30
        self._states: OrderedDict[str, CachedOutputs] = OrderedDict()

    def state(self, key: str) -> "CachedOutputs":
        """The cached outputs of the state `key`; none at first."""
        outputs = self._states.setdefault(key, CachedOutputs(self))
        self._states.move_to_end(key)
        return outputs

    def make_room(self, size: int, requester: "CachedOutputs") -> tuple[bool, bool]:
        """Whether `size` bytes fit in memory, and on disk; states used before `requester` are cleared where need be."""
        while True:
            in_memory = sum(state.memory_bytes for state in self._states.values()) + size <= self._memory_bytes
            on_disk = sum(state.disk_bytes for state in self._states.values()) + size <= self._disk_bytes
            used = (state for state in self._states.values() if state.memory_bytes or state.disk_bytes)
            oldest = next(used, requester)
            if in_memory or on_disk or oldest is requester:
                return in_memory, on_disk
            oldest.clear()


@dataclass(slots=True, eq=False)
class CachedOutputs:
    """Encoder outputs (S, E) of one state, by utterance. An output that does not fit is not cached."""

    _cache: EncoderOutputCache
    memory_bytes: int = 0
    disk_bytes: int = 0
    _memory: dict[int, Tensor] = field(default_factory=dict)
    _places: dict[int, tuple[int, torch.Size, torch.dtype]] = field(default_factory=dict)
    _file: "_NamelessFile | None" = None

    def __contains__(self, index: object) -> bool:
        return index in self._memory or index in self._places

    def get(self, index: int) -> Tensor | None:
        """The output of an utterance, on the CPU; None where it is not cached."""
        if index in self._memory:
            return self._memory[index]
        if index not in self._places or self._file is None:
            return None
        start, shape, dtype = self._places[index]
        content = bytearray(shape.numel() * dtype.itemsize)
        os.preadv(self._file.descriptor, [content], start)
        return torch.frombuffer(content, dtype=dtype).reshape(shape)

    def put(self, index: int, output: Tensor) -> None:
        """Cache an output where there is room; only then is it copied to the CPU. An output that is there stays."""
        if index in self:
            return
        in_memory, on_disk = self._cache.make_room(output.nbytes, self)
        if in_memory:
            self._memory[index] = output.cpu()
            self.memory_bytes += output.nbytes
        elif on_disk:
            self._write(index, output)

    def clear(self) -> None:
        """Drop all outputs."""
        self._memory.clear()
        self._places.clear()
        self._file, self.memory_bytes, self.disk_bytes = None, 0, 0

    def _write(self, index: int, output: Tensor) -> None:
        content = output.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        try:
            self._file = self._file or _NamelessFile()
            written = os.pwrite(self._file.descriptor, content, self.disk_bytes)
        except OSError:  # a full disk: outputs that are not cached are computed again
            return
        if written == len(content):
            self._places[index] = (self.disk_bytes, output.shape, output.dtype)
            self.disk_bytes += written


class _NamelessFile:
    """A file in the cache directory whose name was removed: its space is free again once the last descriptor closes."""

    def __init__(self) -> None:
        cache_dir().mkdir(parents=True, exist_ok=True)
        self.descriptor, name = tempfile.mkstemp(dir=cache_dir())
        weakref.finalize(self, os.close, self.descriptor)
        Path(name).unlink()
