"""What runs will cost to the last FLOP: the streams that training will read, walked with nothing trained.

Executed FLOPs are those of workers on CPUs as the study asks for them: with so many processes, pieces of a batch, and
with gradient checkpointing or without. On an accelerator a frozen encoder hears padded pieces, and executes more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from scaling.cost.step_costs import BoolArray, StageMeter, encoder_is_frozen
from scaling.spec import SAMPLE_RATE, ModelSpec, RunSpec, Stage
from scaling.speech.batches import BatchStream, Position, split_batch
from sweeps.plan.prepare import Prepared


@dataclass(frozen=True, slots=True)
class StageCost:
    """What a stage of a run costs, as its result will say."""

    flops: int
    executed_flops: int
    cache_credited_flops: int
    steps: int
    audio_seconds: float


def exact_costs(prepared: Prepared) -> Mapping[str, Sequence[StageCost]]:
    """Run key -> the cost of each of its stages. Takes milliseconds for every 512 utterances read by a stage."""
    walkers = {model.spec: _Walker(prepared, model.spec) for model in prepared.study.models}
    runs = prepared.plan.runs
    return {run.key: walkers[run.spec.model].run(run.spec, [keys[-1] for keys in run.stages]) for run in runs}


@dataclass(frozen=True, slots=True, eq=False)
class _End:
    """The end of a stage: what it cost, and where the next one begins."""

    cost: StageCost
    position: Position
    encoded: BoolArray


class _Walker:
    """Walks the runs of one model; stages that runs share are walked once."""

    def __init__(self, prepared: Prepared, spec: ModelSpec) -> None:
        study = prepared.study
        model = next(model for model in study.models if model.spec == spec)
        augmentation = study.speech.spec.augmentation
        train = study.speech.train.at_speeds(augmentation.speeds)
        self._lengths = model.lengths(train)
        self._varies = augmentation.varies
        self._model_shape = model.shape
        self._cut = partial(split_batch, each=study.gradient_accumulation, ranks=study.processes)
        self._recompute = study.gradient_checkpointing
        self._ends: dict[str, _End] = {}

    def run(self, spec: RunSpec, ends: Sequence[str]) -> list[StageCost]:
        position, encoded = Position(0, 0), np.zeros(len(self._lengths), dtype=bool)
        costs = []
        for stage, key in zip(spec.strategy.stages, ends, strict=True):
            if key not in self._ends:
                self._ends[key] = self._walk(stage, stage.budget(spec.budget_flops), spec.seed, position, encoded)
            end = self._ends[key]
            position, encoded = end.position.next_stage(), end.encoded
            costs.append(end.cost)
        return costs

    def _walk(self, stage: Stage, until_flops: int, seed: int, position: Position, encoded: BoolArray) -> _End:
        """The state that training reaches from `position`, at the first step at or past `until_flops`."""
        meter = StageMeter(self._model_shape, stage, self._lengths, encoder_unpadded=True, recompute=self._recompute)
        stream = BatchStream(self._lengths.samples, seed, stage.optimization.batch_audio_seconds)
        encoded = encoded.copy() if encoder_is_frozen(stage.parts) else np.zeros_like(encoded)
        flops = executed = credited = steps = samples = 0
        for pool in stream.pools(position):
            costs = meter.costs([self._cut(batch) for batch, _ in pool], encoded)
            enough = int(np.searchsorted(np.cumsum(costs.charged), until_flops - flops)) + 1
            taken = pool[:enough]
            flops += int(costs.charged[:enough].sum())
            executed += int(costs.executed[:enough].sum())
            credited += int(costs.cache_credited[:enough].sum())
            steps += len(taken)
            read = np.concatenate([batch for batch, _ in taken])
            samples += int(self._lengths.samples[read].sum())
            encoded[read] = meter.encoder_frozen and not self._varies
            position = taken[-1][1]
            if flops >= until_flops:
                break
        return _End(StageCost(flops, executed, credited, steps, samples / SAMPLE_RATE), position, encoded)
