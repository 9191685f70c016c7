"""Train one stage from one FLOP position to another: the same steps whether in one go, resumed, or branched."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from scaling.arrays import IntArray
from scaling.asr.checkpoint import Checkpoint, Progress, optimizer_tensors, restore_optimizer, tensors_to_write
from scaling.asr.execution.optimizer import FlatAdamW
from scaling.asr.execution.precision import autocast
from scaling.asr.execution.ranks import SINGLE_PROCESS, Ranks
from scaling.asr.execution.sharding import clip_gradients, is_sharded
from scaling.asr.inputs.dataset import Examples
from scaling.asr.inputs.model_inputs import ModelInputs
from scaling.asr.inputs.prefetch import Prefetcher
from scaling.asr.model.recognizer import Recognizer
from scaling.cost.model_shape import ModelShape
from scaling.cost.step_costs import StageMeter
from scaling.spec import Objective, Part, StageNode
from scaling.speech.batches import BatchStream, Indices, Position
from scaling.speech.lengths import Lengths
from scaling.speech.micro_batches import MicroBatches, split_batch

LOG_SECONDS = 1.0
"""Time between progress events: what a person watching needs, at a cost of microseconds."""

EXPLOSION = 5.0
"""Times the loss of a model that knows nothing: no step that learns gets there (a projector fresh from its random
start was seen at 0.75 of it), and what is there does not come back. Judged by one step alone, so that a run that was
interrupted ends as one that was not (assumption)."""


Price = tuple[int, int, int]
"""Charged, executed and cache-credited FLOPs of a step."""


class Diverged(Exception):
    """The loss is no longer a number, or has exploded; the message says where."""


class Interrupted(Exception):
    """Training was asked to stop; the last state was handed to `on_checkpoint` first."""


@dataclass(frozen=True, slots=True, eq=False)
class Hooks:
    """What happens around training, none of which changes the weights.

    `on_progress(progress, loss, rate factor)` is called about every second, `on_checkpoint(checkpoint)` every
    `checkpoint_seconds` and when `should_stop()` turns true, once a step at most; `before_step(progress)` before every
    step: it may evaluate.
    """

    on_progress: Callable[[Progress, float, float], None]
    on_checkpoint: Callable[[Checkpoint], None]
    before_step: Callable[[Progress], bool]
    should_stop: Callable[[], bool]
    checkpoint_seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What one step reads: this rank's pieces of the batch, the cut they are of, and the position after it.

    `mine_idle` says that this rank's last piece is one that counts nothing.
    """

    pieces: Sequence[Examples]
    cut: MicroBatches
    after: Position
    mine_idle: bool


def train(
    node: StageNode,
    inputs: ModelInputs,
    model_shape: ModelShape,
    start: Checkpoint,
    hooks: Hooks,
    pieces: int = 1,
    ranks: Ranks = SINGLE_PROCESS,
) -> Checkpoint:
    """Train from `start` until `node.until_flops` are charged, never more than one step past; the state then, as
    this rank writes it.

    A start without optimizer state begins the stage with a fresh one. Each step's batch is cut into up to `pieces` for
    each of `ranks`, whose gradients add up to those of the whole: less memory, less time, the same step to rounding.
    Raises Diverged when the loss is no number or has exploded, and Interrupted when asked to stop, on every rank.
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
        model_shape, stage, dataset.lengths, encoder_unpadded=inputs.groups is not None, recompute=model.recomputes
    )
    stream = BatchStream(dataset.samples, node.seed, stage.optimization.batch_audio_seconds)
    rates = [group["lr"] for group in optimizer.param_groups]
    worst = EXPLOSION * uniform_guess_loss(model_shape, stage.objective, dataset.lengths)
    clock, saved_steps = _Clock(hooks), progress.steps

    def state() -> Checkpoint:
        weights = tensors_to_write(((name, parameter) for parameter, name in names.items()), ranks)
        return Checkpoint(weights, optimizer_tensors(optimizer, names, ranks), progress)

    def read(found: tuple[Indices, Position]) -> Step:
        indices, after = found
        return read_step(inputs, indices, after, stream.epoch_of(after), pieces, ranks)

    prices = _prices(meter, stream, progress, pieces, ranks)
    with Prefetcher(read, stream.batches(progress.position)) as steps:
        while progress.flops < node.until_flops:
            if hooks.before_step(progress):
                model.set_trainable(stage.parts)
                clock.restart()
            if ranks.sum(hooks.should_stop()):
                if progress.steps > saved_steps:
                    hooks.on_checkpoint(state())
                raise Interrupted(f"stopped at {progress.flops:.3g} of {node.until_flops:.3g} FLOPs")
            factor = rate_factor(node, progress)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            waited = steps.waited_seconds
            step = next(steps)
            loss = take_step(inputs, step, node, optimizer, optimizer.tensors, ranks)
            if not loss <= worst:  # NaN too
                raise Diverged(
                    f"loss {loss:.4g} at step {progress.steps} after {progress.flops:.3g} FLOPs of {stage.name!r};"
                    f" expected at most {worst:.3g}, {EXPLOSION:g} times that of a model that knows nothing"
                )
            _advance(progress, step, inputs, next(prices))
            progress.loss = loss
            progress.wait_seconds += steps.waited_seconds - waited
            progress.seconds += clock.lap()
            if clock.time_to_log():
                hooks.on_progress(progress, loss, factor)
            if ranks.broadcast(clock.time_to_save()):
                hooks.on_checkpoint(state())
                saved_steps = progress.steps
                clock.restart()
    return state()


def uniform_guess_loss(model_shape: ModelShape, objective: Objective, lengths: Lengths) -> float:
    """Nats a target token of a model that takes every symbol of its vocabulary for equally likely.

    With CTC it must be so at every frame: a bound from above, because many paths spell the same text.
    """
    if objective is Objective.LLM:
        return math.log(model_shape.llm.vocabulary)
    written, wanted = model_shape.output_positions(lengths).sum(), lengths.asr_tokens.sum()
    return math.log(model_shape.encoder.vocabulary) * float(max(1.0, written / wanted))


def rate_factor(node: StageNode, progress: Progress) -> float:
    """The learning rate of the next step, as a fraction of the peak: warm-up in steps, then 1, then (1 - sqrt)."""
    warmup = min(1.0, (progress.steps + 1) / max(1, node.stage.optimization.warmup_steps))
    if node.cooldown_from_flops is None or progress.flops <= node.cooldown_from_flops:
        return warmup
    done = (progress.flops - node.cooldown_from_flops) / (node.until_flops - node.cooldown_from_flops)
    return warmup * (1.0 - math.sqrt(min(1.0, done)))


def read_step(
    inputs: ModelInputs, indices: IntArray, after: Position, epoch: int, pieces: int, ranks: Ranks = SINGLE_PROCESS
) -> Step:
    """A batch as this rank reads it, in up to `pieces` pieces."""
    found = split_batch(indices, pieces, ranks.size)
    return Step(
        pieces=[inputs.read(piece, epoch) for piece in found.pieces[ranks.rank :: ranks.size]],
        cut=found,
        after=after,
        mine_idle=ranks.rank >= ranks.size - found.idle,
    )


def take_step(
    inputs: ModelInputs,
    step: Step,
    node: StageNode,
    optimizer: torch.optim.Optimizer,
    trained: list[nn.Parameter],
    ranks: Ranks = SINGLE_PROCESS,
) -> float:
    """One optimizer step; the mean loss over the target tokens of the whole step, whatever its pieces and ranks."""
    device, objective = trained[0].device, node.stage.objective
    counted = step.pieces[:-1] if step.mine_idle else step.pieces
    tokens = ranks.sum(sum(len(target) for piece in counted for target in _targets(piece, objective)))
    losses = []
    optimizer.zero_grad()
    for number, piece in enumerate(step.pieces):
        batch = inputs.batch(piece)
        with autocast(inputs.precision, device):
            loss_sum, _ = inputs.model.loss(batch, objective)
        loss = loss_sum / tokens if number < len(counted) else 0.0 * loss_sum
        torch.autograd.backward(loss)
        losses.append(loss.detach())
    ranks.sum_gradients(gradient for p in trained if (gradient := p.grad) is not None and not is_sharded(p))
    clip_gradients(trained, node.stage.optimization.clip_norm)
    optimizer.step()
    return ranks.sum(float(torch.stack(losses).sum()))


def _targets(piece: Examples, objective: Objective) -> Sequence[Tensor]:
    return piece.asr_targets if objective is Objective.ASR else piece.llm_targets


def _prices(meter: StageMeter, stream: BatchStream, progress: Progress, pieces: int, ranks: Ranks) -> Iterator[Price]:
    """What each step costs, in the order of the steps. Those of a pool are counted together, when the first one was
    taken: what the encoder has heard is known by then.
    """
    for pool in stream.pools(progress.position):
        costs = meter.costs([split_batch(batch, pieces, ranks.size) for batch, _ in pool], progress.encoded)
        yield from zip(costs.charged.tolist(), costs.executed.tolist(), costs.cache_credited.tolist(), strict=True)


def _advance(progress: Progress, step: Step, inputs: ModelInputs, price: Price) -> None:
    charged, executed, cache_credited = price
    progress.flops += charged
    progress.executed_flops += executed
    if progress.cache_credited_flops is not None:
        progress.cache_credited_flops += cache_credited
    progress.steps += 1
    indices = step.cut.batch
    progress.audio_samples += int(inputs.dataset.samples[indices].sum())
    progress.seen[indices] = True
    progress.encoded[indices] = inputs.kept is not None and not inputs.dataset.varies
    progress.position = step.after


def _names(model: Recognizer, parts: dict[Part, list[nn.Parameter]]) -> dict[nn.Parameter, str]:
    return {p: f"{part.value}/{name}" for part in parts for name, p in model.part_parameters(part).items()}


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
