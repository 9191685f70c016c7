"""A study: what a YAML file asks for, checked, with its models, strategies and speech found on this machine."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scaling.base_models.encoders.log_mel import LogMelFrames
from scaling.cost.memory import StepExecution
from scaling.spec import Precision
from sweeps.study.language import with_language
from sweeps.study.schema.worker_fields import CacheFields, RayFields, SlurmFields
from sweeps.study.speech import StudySpeech, read_speech
from sweeps.study.study_file import StudyFile, portable_text, read_study_file
from sweeps.study.study_model import StudyModel, study_model

MOST_RUNS = 50_000
"""The most runs of a study: five times as many as were planned in a second (assumption: nobody trains more)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Budgets x models x strategies x seeds on one set of data, and how to run them.

    Everything up to `precision` enters the runs' keys; the rest says how and where they are run. `text` is the study
    as YAML that means the same in any folder.
    """

    name: str
    budgets_flops: tuple[int, ...]
    models: tuple[StudyModel, ...]
    seeds: tuple[int, ...]
    speech: StudySpeech
    precision: Precision
    threads: int
    processes: int
    shard: bool
    gradient_accumulation: int
    gradient_checkpointing: bool
    compile: bool
    tracker: str
    checkpoint_seconds: float
    disk_quota_gb: float | None
    kept: CacheFields
    slurm: SlurmFields
    ray: RayFields
    text: str

    @property
    def execution(self) -> StepExecution:
        """How its workers, on all of their machines, make a step fit."""
        return StepExecution(
            processes=self.processes * self.slurm.nodes,
            shard=self.shard,
            pieces=self.gradient_accumulation,
            recompute=self.gradient_checkpointing,
        )


def load_study(argument: str, overrides: Sequence[str] = ()) -> Study:
    """The study in the YAML file `argument`, or shipped under that name, with fields replaced by `key=value` texts.

    Raises InputError, naming file, field, value and what was expected, before anything is written.
    """
    file = with_language(read_study_file(argument, overrides))
    fields = file.fields
    _refuse_too_many(file)
    models = _distinct_models(file)
    _refuse_masks_on_waves(file, models)
    return Study(
        name=fields.name,
        budgets_flops=_budgets(file),
        models=models,
        seeds=_distinct(file, "seeds", fields.seeds),
        speech=read_speech(file, models),
        precision=fields.precision,
        threads=fields.threads,
        processes=fields.processes,
        shard=fields.shard,
        gradient_accumulation=fields.gradient_accumulation,
        gradient_checkpointing=fields.gradient_checkpointing,
        compile=fields.compile,
        tracker=fields.tracker,
        checkpoint_seconds=fields.checkpoint_seconds,
        disk_quota_gb=fields.disk_quota_gb,
        kept=fields.kept,
        slurm=fields.slurm,
        ray=fields.ray,
        text=portable_text(file),
    )


def _budgets(file: StudyFile) -> tuple[int, ...]:
    budgets = tuple(round(value) for value in file.fields.budgets_flops)
    return tuple(sorted(_distinct(file, "budgets_flops", budgets)))


def _distinct(file: StudyFile, field: str, values: tuple[int, ...]) -> tuple[int, ...]:
    seen: set[int] = set()
    for position, value in enumerate(values):
        if value in seen:
            raise file.error((field, position), value, "each value once")
        seen.add(value)
    return values


def _refuse_too_many(file: StudyFile) -> None:
    """Raise InputError for more runs than anybody plans, before hours are spent on planning them."""
    fields = file.fields
    counts = [len(values) for values in (fields.budgets_flops, fields.models, fields.strategies, fields.seeds)]
    if math.prod(counts) > MOST_RUNS:
        expected = f"budgets x models x strategies x seeds of at most {MOST_RUNS} runs"
        raise file.error(("budgets_flops",), " x ".join(map(str, counts)), expected)


def _refuse_masks_on_waves(file: StudyFile, models: Sequence[StudyModel]) -> None:
    """SpecAugment hides bands of log-mel frames; an encoder that reads the wave, or frames in stacks, has none."""
    masks = file.fields.augmentation.masks
    waves = [model.encoder.name for model in models if not isinstance(model.encoder.dims, LogMelFrames)]
    if masks and waves:
        raise file.error(("augmentation", "masks"), masks, f"0 with {', '.join(waves)}, which reads no log-mel frames")


def _distinct_models(file: StudyFile) -> tuple[StudyModel, ...]:
    models: list[StudyModel] = []
    for position in range(len(file.fields.models)):
        model = study_model(file, position)
        if any((model.spec, model.strategies) == (other.spec, other.strategies) for other in models):
            raise file.error(("models", position), f"{model.encoder.name} + {model.llm.name}", "each model once")
        models.append(model)
    return tuple(models)
