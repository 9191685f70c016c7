"""What FLOPs buy: the audio and steps that a stage's FLOPs pay for, from the lengths of the training speech."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

from scaling.cost.flops import charged, exact_sum
from scaling.cost.memory import Memory, step_memory
from scaling.errors import InputError
from scaling.spec import SAMPLE_RATE, ModelSpec, Objective, Part, RunSpec, Stage
from scaling.speech.batches import BatchStream, Position
from scaling.speech.lengths import Lengths
from sweeps.study.study import Study

SAMPLED_BATCHES = 1000
"""The mean size of a batch is taken over so many batches, and is then known to a percent (assumption)."""

SHARDED_DEVICES = 8
"""Devices of the usual machine: a plan also says how much memory a step would take if they shared one run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageConsumption:
    """What one stage of one model consumes, on average over the training speech.

    `memory` is one step's, unpadded, on each device of a worker; `memory_sharded` if a worker had `SHARDED_DEVICES` and
    shared the LLM among them.
    """

    flops_per_audio_second: float
    audio_seconds_per_step: float
    memory: Memory
    memory_sharded: Memory

    @property
    def flops_per_step(self) -> float:
        """FLOPs of an average batch."""
        return self.flops_per_audio_second * self.audio_seconds_per_step


StageConsumptions = Mapping[tuple[ModelSpec, Stage], StageConsumption]


def stage_consumptions(study: Study, runs: Sequence[RunSpec]) -> StageConsumptions:
    """What every stage of these runs of the study consumes; work that is priced alike is counted once."""
    consumptions: dict[tuple[ModelSpec, Stage], StageConsumption] = {}
    batch_seconds: dict[float, float] = {}
    stages = _stages(runs)
    for model in study.models:
        lengths = model.lengths(study.speech.train)
        by_work: dict[tuple[Objective, frozenset[Part], float], StageConsumption] = {}
        for stage in stages[model.spec]:
            batch = stage.optimization.batch_audio_seconds
            work = (stage.objective, stage.parts, batch)
            if batch not in batch_seconds:
                batch_seconds[batch] = _mean_batch_seconds(lengths, batch)
            if work not in by_work:
                step = partial(step_memory, model.shape, stage, study.precision, lengths, batch)
                by_work[work] = StageConsumption(
                    flops_per_audio_second=(
                        exact_sum(charged(model.shape, stage, lengths)) / (float(lengths.samples.sum()) / SAMPLE_RATE)
                    ),
                    audio_seconds_per_step=batch_seconds[batch],
                    memory=step(study.execution),
                    memory_sharded=step(replace(study.execution, processes=SHARDED_DEVICES, shard=True)),
                )
            consumptions[model.spec, stage] = by_work[work]
    return consumptions


def but_for_seeds(runs: Sequence[RunSpec]) -> list[tuple[RunSpec, int]]:
    """One run of each model, strategy and budget, and how many there are: seeds apart, they cost the same."""
    kinds = [(run.model, run.strategy, run.budget_flops) for run in runs]
    counts = Counter(kinds)
    return [(run, counts[kind]) for kind, run in dict(zip(kinds, runs, strict=True)).items()]


def refuse_small_budgets(runs: Sequence[RunSpec], consumptions: StageConsumptions) -> None:
    """Raise InputError where a stage of a run would get less than one average step."""
    for run, _ in but_for_seeds(runs):
        for stage in run.strategy.stages:
            step, flops = consumptions[run.model, stage].flops_per_step, stage.budget(run.budget_flops)
            if flops < step:
                remedy = f"a budget of at least {step / stage.share:.3g}" if stage.share else "more for the stage"
                raise InputError(
                    f"budgets_flops: {run.budget_flops:.4g} leaves {flops:.3g} FLOPs to stage {stage.name!r} of"
                    f" {run.strategy.name} on {run.model.encoder_name} + {run.model.llm_name}, and one step takes"
                    f" {step:.3g}; expected {remedy}"
                )


def _stages(runs: Sequence[RunSpec]) -> Mapping[ModelSpec, set[Stage]]:
    stages: dict[ModelSpec, set[Stage]] = defaultdict(set)
    for run, _ in but_for_seeds(runs):
        stages[run.model] |= set(run.strategy.stages)
    return stages


def _mean_batch_seconds(lengths: Lengths, batch_audio_seconds: float) -> float:
    stream = BatchStream(samples=lengths.samples, seed=0, batch_audio_seconds=batch_audio_seconds)
    batches = [batch for batch, _ in islice(stream.batches(Position(0, 0)), SAMPLED_BATCHES)]
    return float(sum(lengths.samples[batch].sum() for batch in batches)) / SAMPLE_RATE / len(batches)
