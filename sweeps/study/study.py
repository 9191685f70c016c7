"""A study: what a YAML file asks for, checked, with its models, strategies and speech found on this machine."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scaling.cost.memory import StepExecution
from scaling.spec import Precision, RunSpec, Strategy
from scaling.system.yaml_file import to_yaml
from sweeps.study.schema.worker_fields import CacheFields, RayFields, SlurmFields
from sweeps.study.speech import StudySpeech, read_speech
from sweeps.study.study_file import portable_fields, read_study_file
from sweeps.study.study_model import StudyModel, study_models

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

    def run(self, model: StudyModel, strategy: Strategy, budget_flops: int, seed: int) -> RunSpec:
        """The run of one of the study's models."""
        return RunSpec(
            model=model.spec,
            strategy=strategy,
            budget_flops=budget_flops,
            data=model.data(self.speech.spec),
            seed=seed,
            precision=self.precision,
        )


def load_study(argument: str, overrides: Sequence[str] = ()) -> Study:
    """The study in the YAML file `argument`, or shipped under that name, with fields replaced by `key=value` texts.

    The file is read and checked first; then models, then speech are found on this machine. Raises InputError, naming
    file, field, value and what was expected, before anything is written.
    """
    file = read_study_file(argument, overrides)
    fields = file.fields
    counts = [len(values) for values in (fields.budgets_flops, fields.models, fields.strategies, fields.seeds)]
    if math.prod(counts) > MOST_RUNS:
        expected = f"budgets x models x strategies x seeds of at most {MOST_RUNS} runs"
        raise file.document.error(("budgets_flops",), " x ".join(map(str, counts)), expected)
    models = study_models(file)
    portable = portable_fields(file)
    return Study(
        name=fields.name,
        budgets_flops=tuple(sorted(round(value) for value in fields.budgets_flops)),
        models=models,
        seeds=fields.seeds,
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
        text=to_yaml(portable),
    )
