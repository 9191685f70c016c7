"""Processes that train one node together, in step: one rank each, on one machine or several.

Every rank walks through the same stream of batches and takes its micro-batches of each step; gradients are summed, so
that all ranks hold the same weights at every step. Decisions that depend on a clock or a signal are broadcast first: no
rank waits for an exchange that another rank does not take part in. A rank that dies ends the others, whose next
exchange fails.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor, distributed

Value = TypeVar("Value")
Arguments = ParamSpec("Arguments")

CONNECTION_ERRORS = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "gloo", "NCCL")
"""Words of torch's back ends in a RuntimeError where another rank is gone; there is no type of error for it."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """A process among those that train together; by default the only one.

    `shard`: each rank holds a shard of the LLM (`scaling.asr.execution.sharding`), so that all must run its layers at
    the same time.
    """

    rank: int = 0
    size: int = 1
    shard: bool = False

    @property
    def first(self) -> bool:
        """Whether this is the rank that reads and writes the ledger."""
        return self.rank == 0

    @property
    def writers(self) -> int:
        """How many ranks write checkpoints, from the first on: all where the LLM is sharded, else one for all."""
        return self.size if self.shard else 1

    def share(self, values: Sequence[Value]) -> list[Value]:
        """The values that this rank works on, in their order: every `size`-th, so that shares of sorted values cost the
        same.

        These are all values where the LLM is sharded: decoding must take the same number of steps on every rank.

        >>> Ranks(1, 2).share("abcde")
        ['b', 'd']
        """
        return list(values if self.shard else values[self.rank :: self.size])

    def broadcast(self, value: Value) -> Value:
        """The first rank's value; all ranks must call this."""
        if self.size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0, device=torch.device("cpu"))
        return values[0]

    def sum(self, value: float) -> float:
        """The sum over ranks, in double precision: exact for counts."""
        if self.size == 1:
            return value
        summed = torch.tensor(value, dtype=torch.float64)
        distributed.all_reduce(summed)
        return float(summed)

    def all_gather(self, value: Value) -> list[Value]:
        """The values of all ranks."""
        values: list[Any] = [value] * self.size
        if self.size > 1:
            distributed.all_gather_object(values, value)
        return values

    def sum_gradients(self, gradients: Iterable[Tensor]) -> None:
        """Replace gradients by their sums over ranks, in one exchange."""
        if self.size == 1:
            return
        own = list(gradients)
        if own:
            flat = torch.cat([gradient.reshape(-1) for gradient in own])
            distributed.all_reduce(flat)
            sums = torch.split(flat, [gradient.numel() for gradient in own])
            for gradient, summed in zip(own, sums, strict=True):
                gradient.copy_(summed.view_as(gradient))

    def leave(self) -> None:
        """End the group: else its threads may abort the process when it exits (assumption: seen once, see LOG.md)."""
        if self.size > 1:
            distributed.destroy_process_group()

    def on_first(self, function: Callable[Arguments, None]) -> Callable[Arguments, None]:
        """`function` on the first rank; a function that does nothing on the others."""
        return function if self.first else _do_nothing


SINGLE_PROCESS = Ranks()


def join(*, shard: bool = False) -> Ranks:
    """Join the processes that torchrun or srun have started, if any. Raises RuntimeError where one is missing."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return SINGLE_PROCESS
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    return Ranks(distributed.get_rank(), size, shard)


def is_connection_error(error: Exception) -> bool:
    """Whether an error says that another rank is gone."""
    return isinstance(error, RuntimeError) and any(words in str(error) for words in CONNECTION_ERRORS)


def _do_nothing(*_: object, **__: object) -> None:
    """Takes the place of a function that only the first rank calls."""
