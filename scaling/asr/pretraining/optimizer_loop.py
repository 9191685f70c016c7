"""The optimisation of a base model's pretraining: AdamW with a warm-up and a linear decay to zero."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from scaling.system.console import log

WARMUP_STEPS = 50
COUNTED_EVERY = 50
"""FLOPs are counted every so many steps, because counting costs a few times the step itself (assumption)."""
REPORTED_EVERY = 200
"""The loss is logged every so many steps (assumption)."""
MEAN_STEPS = 50
"""Steps whose mean loss is logged and returned (assumption)."""

Batch = TypeVar("Batch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The number of steps, and the peak learning rate."""

    steps: int
    peak_lr: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainingResult:
    """`flops`: executed, by torch's counter on every 50th step. `loss`: mean of the last 50 steps, in nats."""

    flops: float
    loss: float


def optimize(
    model: nn.Module, batches: Iterator[Batch], loss_of: Callable[[Batch], torch.Tensor], schedule: Schedule
) -> PretrainingResult:
    """Train every parameter of `model` that requires a gradient; deterministic for one thread and one seed."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=schedule.peak_lr, betas=(0.9, 0.98), weight_decay=0.01)
    model.train()
    losses: list[float] = []
    counted: list[int] = []
    for step, batch in zip(range(schedule.steps), batches, strict=False):
        for group in optimizer.param_groups:
            group["lr"] = schedule.peak_lr * min((step + 1) / WARMUP_STEPS, 1 - step / schedule.steps)
        loss, flops = _backward(loss_of, batch, counting=step % COUNTED_EVERY == 0)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss)
        counted += [flops] if flops else []
        if (step + 1) % REPORTED_EVERY == 0:
            log(f"step {step + 1} of {schedule.steps}: loss {_last_mean(losses):.3f}")
    model.eval()
    return PretrainingResult(flops=sum(counted) / len(counted) * schedule.steps, loss=_last_mean(losses))


def _last_mean(losses: list[float]) -> float:
    return sum(losses[-MEAN_STEPS:]) / len(losses[-MEAN_STEPS:])


def _backward(loss_of: Callable[[Batch], torch.Tensor], batch: Batch, *, counting: bool) -> tuple[float, int]:
    """The loss of a batch, and the FLOPs of both passes where they are counted, else 0."""
    if not counting:
        loss = loss_of(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item(), 0
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:  # the counter misses fused attention
        loss = loss_of(batch)
        loss.backward()  # type: ignore[no-untyped-call]
    return loss.item(), counter.get_total_flops()
