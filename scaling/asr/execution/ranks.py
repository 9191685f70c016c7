"""Processes that train one node together, in step: one rank each, on one machine or several.

Every rank walks through the same stream and takes its pieces of each step's batch; gradients are added up, so that all
hold the same weights at every step. Whatever depends on a clock or a signal is agreed upon first: no rank waits for
what another does not do. A rank that dies ends the others, whose next exchange fails.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor, distributed

Value = TypeVar("Value")
Arguments = ParamSpec("Arguments")

BROKEN = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "gloo", "NCCL")
"""What torch's back ends say in a RuntimeError where another rank is gone."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """A process among those that train together; alone where nothing else is said.

    `shard`: each holds a share of the LLM (`scaling.asr.execution.sharding`), so that all must run its layers at the same time.
    """

    rank: int = 0
    size: int = 1
    shard: bool = False

    @property
    def first(self) -> bool:
        """Whether this is the rank that speaks with the ledger."""
        return self.rank == 0

    @property
    def writers(self) -> int:
        """How many ranks write checkpoints, the first ones: all where each holds a share, else one for all."""
        return self.size if self.shard else 1

    def share(self, values: Sequence[Value]) -> list[Value]:
        """What of these is to be done here, in the same order: every so many-th, so that shares of sorted values cost
        the same.

        All of it where the LLM is sharded: what is decoded together must take the same number of steps everywhere.

        >>> Ranks(1, 2).share("abcde")
        ['b', 'd']
        """
        return list(values if self.shard else values[self.rank :: self.size])

    def broadcast(self, value: Value) -> Value:
        """What the first rank says; all must ask."""
        if self.size == 1:
            return value
        said = [value]
        distributed.broadcast_object_list(said, src=0, device=torch.device("cpu"))
        return said[0]

    def sum(self, value: float) -> float:
        """The sum over ranks, in double precision: exact for counts."""
        if self.size == 1:
            return value
        summed = torch.tensor(value, dtype=torch.float64)
        distributed.all_reduce(summed)
        return float(summed)

    def all_gather(self, value: Value) -> list[Value]:
        """The value of every rank."""
        found: list[Any] = [value] * self.size
        if self.size > 1:
            distributed.all_gather_object(found, value)
        return found

    def sum_gradients(self, gradients: Iterable[Tensor]) -> None:
        """Replace gradients by their sums over ranks, exchanged together once a step."""
        if self.size == 1:
            return
        each = list(gradients)
        if each:
            flat = torch.cat([gradient.reshape(-1) for gradient in each])
            distributed.all_reduce(flat)
            sums = torch.split(flat, [gradient.numel() for gradient in each])
            for gradient, summed in zip(each, sums, strict=True):
                gradient.copy_(summed.view_as(gradient))

    def leave(self) -> None:
        """End the group, whose threads may else abort the process when it exits (assumption: seen once, see LOG.md)."""
        if self.size > 1:
            distributed.destroy_process_group()

    def on_first(self, act: Callable[Arguments, None]) -> Callable[Arguments, None]:
        """`act` on the first rank; nothing on the others."""
        return act if self.first else _nothing


SINGLE_PROCESS = Ranks()


def join(*, shard: bool = False) -> Ranks:
    """Meet the others that torchrun or srun have started, if so; raises RuntimeError where they do not come."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return SINGLE_PROCESS
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    return Ranks(distributed.get_rank(), size, shard)


def is_broken(error: Exception) -> bool:
    """Whether an error says that another rank is gone."""
    words = str(error)
    return isinstance(error, RuntimeError) and any(sign in words for sign in BROKEN)


def _nothing(*_: object, **__: object) -> None:
    """What the other ranks do where the first one acts."""
