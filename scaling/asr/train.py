"""Trains one stage from one FLOP position to another: the steps are the same whether training is uninterrupted,
resumed, or branched from a trunk.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from scaling.arrays import IntArray
from scaling.asr.checkpoint import Checkpoint, Progress
from scaling.asr.divergence import check_divergence, uniform_guess_loss
from scaling.asr.execution.learning_rate import rate_factor
from scaling.asr.execution.optimizer import FlatAdamW
from scaling.asr.execution.precision import autocast
from scaling.asr.execution.ranks import SINGLE_PROCESS, Ranks
from scaling.asr.execution.sharding import clip_gradients, is_sharded
from scaling.asr.inputs.dataset import Examples
from scaling.asr.inputs.model_inputs import ModelInputs
from scaling.asr.inputs.prefetch import Prefetcher
from scaling.asr.model.recognizer import Recognizer
from scaling.asr.part_weights import optimizer_tensors, restore_optimizer, tensors_to_write
from scaling.cost.model_shape import ModelShape
from scaling.cost.step_costs import StageMeter
from scaling.spec import Objective, Part, StageNode
from scaling.speech.batches import BatchStream, Indices, MicroBatches, Position, split_batch

LOG_SECONDS = 1.0
"""Time between progress events: short enough for a person who watches (assumption), at a cost of microseconds."""


class Interrupted(Exception):
    """Training was asked to stop; the last state was handed to `on_checkpoint` first."""


@dataclass(frozen=True, slots=True, eq=False)
class Hooks:
    """Functions that are called during training, none of which changes the weights.

    * `on_progress(progress, loss, rate factor)`: about every second.
    * `on_checkpoint(checkpoint)`: every `checkpoint_seconds`, and when training stops; at most once a step.
    * `before_step(progress)`: before every step; it may evaluate, and then returns True.
    * `should_stop()`: before every step; where it is true, training stops.
    """

    on_progress: Callable[[Progress, float, float], None]
    on_checkpoint: Callable[[Checkpoint], None]
    before_step: Callable[[Progress], bool]
    should_stop: Callable[[], bool]
    checkpoint_seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class TrainingStep:
    """The inputs of one optimizer step: this rank's micro-batches, all `micro_batches`, and the position after it.

    `last_is_idle`: this rank's last micro-batch only makes the number of micro-batches equal on all ranks, and counts
    for nothing.
    """

    own: Sequence[Examples]
    micro_batches: MicroBatches
    after: Position
    last_is_idle: bool


def train(
    node: StageNode,
    inputs: ModelInputs,
    model_shape: ModelShape,
    start: Checkpoint,
    hooks: Hooks,
    micro_batches: int = 1,
    ranks: Ranks = SINGLE_PROCESS,
) -> Checkpoint:
    """Train from `start` until `node.until_flops` are charged, at most one step past it. Returns the final state, of
    which this rank holds the tensors that it writes.

    A start without optimizer state begins the stage with a new optimizer. Each step's batch is split into up to
    `micro_batches` for each of `ranks`, whose gradients add up to those of the batch: less memory, less time, and the
    same step to rounding. On every rank, raises Diverged when the loss is no number or has exploded, and Interrupted
    when asked to stop.
    """
    stage, progress = node.stage, start.progress
    model, dataset = inputs.model, inputs.dataset
    parts = model.set_trainable(stage.parts)
    names = _names(model, parts)
    optimizer = FlatAdamW(stage, parts)
    if start.optimizer is not None:
        restore_optimizer(optimizer, names, start.optimizer)
    else:
        torch.manual_seed(node.seed)
    meter = StageMeter(
        model_shape,
        stage,
        dataset.lengths,
        encoder_unpadded=inputs.groups is not None,
        recompute=model.gradient_checkpointing,
    )
    stream = BatchStream(dataset.samples, node.seed, stage.optimization.batch_audio_seconds)
    rates = [group["lr"] for group in optimizer.param_groups]
    guess_loss = uniform_guess_loss(model_shape, stage.objective, dataset.lengths)
    clock, progress_timer, checkpoint_timer = _Clock(), _Timer(LOG_SECONDS), _Timer(hooks.checkpoint_seconds)
    saved_steps = progress.steps

    def state() -> Checkpoint:
        weights = tensors_to_write(((name, parameter) for parameter, name in names.items()), ranks)
        return Checkpoint(weights, optimizer_tensors(optimizer, names, ranks), progress)

    def read(batch: tuple[Indices, Position]) -> TrainingStep:
        indices, after = batch
        return read_step(inputs, indices, after, stream.epoch_of(after), micro_batches, ranks)

    costs = _step_costs(meter, stream, progress, micro_batches, ranks)
    with Prefetcher(read, stream.batches(progress.position)) as steps:
        while progress.flops < node.until_flops:
            if hooks.before_step(progress):
                model.set_trainable(stage.parts)
                clock.restart()
            if ranks.sum(hooks.should_stop()):
                if progress.steps > saved_steps:
                    hooks.on_checkpoint(state())
                raise Interrupted(f"stopped at {progress.flops:.3g} of {node.until_flops:.3g} FLOPs")
            factor = rate_factor(node, progress.flops, progress.steps)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            waited = steps.waited_seconds
            step = next(steps)
            loss = take_step(inputs, step, node, optimizer, optimizer.tensors, ranks)
            check_divergence(loss, progress, stage.name, guess_loss)
            _advance(progress, step, inputs, next(costs))
            progress.loss = loss
            progress.wait_seconds += steps.waited_seconds - waited
            progress.seconds += clock.lap()
            if progress_timer.due():
                hooks.on_progress(progress, loss, factor)
            if ranks.broadcast(checkpoint_timer.due()):
                hooks.on_checkpoint(state())
                saved_steps = progress.steps
                clock.restart()
    return state()


def read_step(
    inputs: ModelInputs,
    indices: IntArray,
    after: Position,
    epoch: int,
    micro_batches: int,
    ranks: Ranks = SINGLE_PROCESS,
) -> TrainingStep:
    """The batch of these indices as this rank reads it, in up to `micro_batches` a rank."""
    split = split_batch(indices, micro_batches, ranks.size)
    return TrainingStep(
        own=[inputs.read(piece, epoch) for piece in split.pieces[ranks.rank :: ranks.size]],
        micro_batches=split,
        after=after,
        last_is_idle=ranks.rank >= ranks.size - split.idle,
    )


def take_step(
    inputs: ModelInputs,
    step: TrainingStep,
    node: StageNode,
    optimizer: torch.optim.Optimizer,
    trained: list[nn.Parameter],
    ranks: Ranks = SINGLE_PROCESS,
) -> float:
    """One optimizer step; the mean loss over the target tokens of all micro-batches and ranks."""
    device, objective = trained[0].device, node.stage.objective
    counted = step.own[:-1] if step.last_is_idle else step.own
    tokens = ranks.sum(sum(len(target) for examples in counted for target in _targets(examples, objective)))
    losses = []
    optimizer.zero_grad()
    for number, examples in enumerate(step.own):
        batch = inputs.batch(examples)
        with autocast(inputs.precision, device):
            loss_sum, _ = inputs.model.loss(batch, objective)
        loss = loss_sum / tokens if number < len(counted) else 0.0 * loss_sum
        torch.autograd.backward(loss)
        losses.append(loss.detach())
    ranks.sum_gradients(gradient for p in trained if (gradient := p.grad) is not None and not is_sharded(p))
    clip_gradients(trained, node.stage.optimization.clip_norm)
    optimizer.step()
    return ranks.sum(float(torch.stack(losses).sum()))


def _targets(examples: Examples, objective: Objective) -> Sequence[Tensor]:
    return examples.asr_targets if objective is Objective.ASR else examples.llm_targets


def _step_costs(
    meter: StageMeter, stream: BatchStream, progress: Progress, micro_batches: int, ranks: Ranks
) -> Iterator[tuple[int, int, int]]:
    """Charged, executed and cache-credited FLOPs of each step, in order.

    The steps of a pool are counted together when the first of them is asked for, from `progress.encoded` at that time.
    """
    for pool in stream.pools(progress.position):
        costs = meter.costs([split_batch(batch, micro_batches, ranks.size) for batch, _ in pool], progress.encoded)
        yield from zip(costs.charged.tolist(), costs.executed.tolist(), costs.cache_credited.tolist(), strict=True)


def _advance(progress: Progress, step: TrainingStep, inputs: ModelInputs, costs: tuple[int, int, int]) -> None:
    charged, executed, cache_credited = costs
    progress.flops += charged
    progress.executed_flops += executed
    if progress.cache_credited_flops is not None:
        progress.cache_credited_flops += cache_credited
    progress.steps += 1
    indices = step.micro_batches.batch
    progress.audio_samples += int(inputs.dataset.samples[indices].sum())
    progress.seen[indices] = True
    progress.encoded[indices] = inputs.cache is not None and not inputs.dataset.varies
    progress.position = step.after


def _names(model: Recognizer, parts: dict[Part, list[nn.Parameter]]) -> dict[nn.Parameter, str]:
    return {p: f"{part.value}/{name}" for part in parts for name, p in model.part_parameters(part).items()}


class _Clock:
    """Wall time between steps."""

    def __init__(self) -> None:
        self._lap = time.perf_counter()

    def restart(self) -> None:
        """Leave out the time since the last lap."""
        self._lap = time.perf_counter()

    def lap(self) -> float:
        """Seconds since the last lap."""
        last, self._lap = self._lap, time.perf_counter()
        return self._lap - last


class _Timer:
    """Tells when `seconds` have passed since it last told so."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._last = seconds, time.perf_counter()

    def due(self) -> bool:
        """Whether so much time has passed; if so, it begins anew."""
        now = time.perf_counter()
        if now - self._last < self._seconds:
            return False
        self._last = now
        return True
