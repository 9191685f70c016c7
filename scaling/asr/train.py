"""Train one stage from one FLOP position to another: the same steps whether in one go, resumed, or branched."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from scaling.asr.checkpoint import Checkpoint, Progress, Weights, optimizer_tensors, restore_optimizer
from scaling.asr.data import Speech
from scaling.asr.model import Batch, Recognizer
from scaling.flops import charged, executed_batches
from scaling.geometry import Geometry
from scaling.spec import Part, Precision, StageNode
from scaling.stream import Stream

LOG_SECONDS = 1.0
"""Time between progress events: what a person watching needs, at a cost of microseconds."""


class Diverged(Exception):
    """The loss is no longer a number; the message says where."""


class Interrupted(Exception):
    """Training was asked to stop; the last state was handed to `on_checkpoint` first."""


@dataclass(frozen=True, slots=True, eq=False)
class Hooks:
    """What happens around training, none of which changes the weights.

    `on_progress(progress, loss, rate factor)` is called about every second, `on_checkpoint(checkpoint)` every
    `checkpoint_seconds` and when `should_stop()` turns true, `on_look(progress)` before every step: it may evaluate.
    """

    on_progress: Callable[[Progress, float, float], None]
    on_checkpoint: Callable[[Checkpoint], None]
    on_look: Callable[[Progress], bool]
    should_stop: Callable[[], bool]
    checkpoint_seconds: float


def train(
    node: StageNode, model: Recognizer, speech: Speech, geometry: Geometry, start: Checkpoint, hooks: Hooks
) -> Checkpoint:
    """Train from `start` until `node.until_flops` are charged, never more than one step past; the state then.

    A start without optimizer state begins the stage with a fresh one. Raises Diverged when the loss is not finite and
    Interrupted when asked to stop.
    """
    stage, progress = node.stage, start.progress
    parts = model.set_trainable(stage.parts)
    names = _names(model, parts)
    optimizer = _optimizer(node, parts)
    if start.optimizer is not None:
        restore_optimizer(optimizer, names, start.optimizer)
    else:
        torch.manual_seed(node.seed)
    device = next(model.parameters()).device
    charged_N = charged(geometry, stage, speech.lengths)
    stream = Stream(speech.samples, node.seed, stage.optimization.batch_audio_seconds)
    rates = [group["lr"] for group in optimizer.param_groups]
    clock = _Clock(hooks)

    def state() -> Checkpoint:
        return Checkpoint(_weights(names), optimizer_tensors(optimizer, names), progress)

    for indices, after in stream.batches(progress.position):
        if progress.flops >= node.until_flops:
            break
        if hooks.on_look(progress):
            model.set_trainable(stage.parts)
            clock.restart()
        if hooks.should_stop():
            hooks.on_checkpoint(state())
            raise Interrupted(f"stopped at {progress.flops:.3g} of {node.until_flops:.3g} FLOPs")
        factor = rate_factor(node, progress)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * factor
        loss = _step(model, speech.batch(indices, device), node, optimizer, list(names))
        if not math.isfinite(loss):
            raise Diverged(f"loss {loss} at step {progress.steps} after {progress.flops:.3g} FLOPs of {stage.name!r}")
        _advance(progress, indices, speech, int(charged_N[indices].sum()))
        progress.executed_flops += int(executed_batches(geometry, stage, speech.lengths, [indices])[0])
        progress.position, progress.loss = after, loss
        progress.seconds += clock.lap()
        if clock.time_to_log():
            hooks.on_progress(progress, loss, factor)
        if clock.time_to_save():
            hooks.on_checkpoint(state())
            clock.restart()
    return state()


def rate_factor(node: StageNode, progress: Progress) -> float:
    """The learning rate of the next step, as a fraction of the peak: warm-up in steps, then 1, then (1 - sqrt)."""
    warmup = min(1.0, (progress.steps + 1) / max(1, node.stage.optimization.warmup_steps))
    if node.cooldown_from_flops is None or progress.flops <= node.cooldown_from_flops:
        return warmup
    done = (progress.flops - node.cooldown_from_flops) / (node.until_flops - node.cooldown_from_flops)
    return warmup * (1.0 - math.sqrt(min(1.0, done)))


def _step(
    model: Recognizer, batch: Batch, node: StageNode, optimizer: torch.optim.Optimizer, trained: list[nn.Parameter]
) -> float:
    """One optimizer step; the mean loss over the target tokens of the whole step."""
    device = trained[0].device
    with torch.autocast(device.type, torch.bfloat16, enabled=node.precision is Precision.BF16):
        loss_sum, tokens = model.loss(batch, node.stage.objective)
    loss = loss_sum / tokens
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(trained, node.stage.optimization.clip_norm)
    optimizer.step()
    return float(loss.detach())


def _advance(progress: Progress, indices: npt.NDArray[np.int64], speech: Speech, flops: int) -> None:
    progress.flops += flops
    progress.steps += 1
    progress.audio_samples += int(speech.samples[indices].sum())
    progress.seen[indices] = True


def _optimizer(node: StageNode, parts: dict[Part, list[nn.Parameter]]) -> torch.optim.AdamW:
    """AdamW with a peak rate for each part; decay on matrices only, as is usual for transformers."""
    options = node.stage.optimization
    groups = [
        {"params": chosen, "lr": rate, "weight_decay": decay}
        for part, rate in node.stage.trains
        for chosen, decay in (
            ([p for p in parts[part] if p.ndim > 1], options.weight_decay),
            ([p for p in parts[part] if p.ndim <= 1], 0.0),
        )
        if chosen
    ]
    return torch.optim.AdamW(groups, betas=(options.beta1, options.beta2), fused=True)


def _names(model: Recognizer, parts: dict[Part, list[nn.Parameter]]) -> dict[nn.Parameter, str]:
    return {p: f"{part.value}/{name}" for part in parts for name, p in model.part_parameters(part).items()}


def _weights(names: dict[nn.Parameter, str]) -> Weights:
    return {name: parameter.detach().clone() for parameter, name in names.items()}


class _Clock:
    """Wall time between steps, and what is due by it."""

    def __init__(self, hooks: Hooks) -> None:
        self._every = hooks.checkpoint_seconds
        self._lap = self._logged = self._saved = time.perf_counter()

    def restart(self) -> None:
        """Leave out what happened since the last lap."""
        self._lap = time.perf_counter()

    def lap(self) -> float:
        """Seconds since the last lap."""
        last, self._lap = self._lap, time.perf_counter()
        return self._lap - last

    def time_to_log(self) -> bool:
        """Whether a progress event is due."""
        if self._lap - self._logged < LOG_SECONDS:
            return False
        self._logged = self._lap
        return True

    def time_to_save(self) -> bool:
        """Whether a periodic checkpoint is due."""
        if self._lap - self._saved < self._every:
            return False
        self._saved = self._lap
        return True
