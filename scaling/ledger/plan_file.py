"""`plan.json`: what workers, `status`, the table of runs and the tracker need to know about a study."""

import os
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

from pydantic import Field, PrivateAttr

from scaling.errors import InputError
from scaling.ledger.ledger import Ledger
from scaling.ledger.record import Amount, Count, Name, Positive, PositiveCount, Record
from scaling.ledger.records import RunDescription
from scaling.system.contained_files import read_regular
from scaling.system.json_files import parse_record

PLAN_FILE = "plan.json"
"""The plan in the folder of a study."""

SCHEMA = "asr-scaling/plan-1"


@dataclass(slots=True, kw_only=True)
class WorkItem:
    """A node to train."""

    flops: Count
    """FLOPs to train from the node's start to its end."""
    start_flops: Count
    """Position in its stage at which the node starts, in FLOPs charged to the stage."""
    needs: list[Name]
    """Keys of the nodes that must be done before."""


class Source(Record):
    """Where a model or a manifest lies on this machine; or an alphabet."""

    path: str | None
    """Directory of the model, or file of the manifest; null: a model that can be priced and not trained."""
    hours: Positive | None
    """Hours of the manifest that are used; null: all, or a model."""
    max_seconds: Positive | None = None
    """Longest utterance that is used, in seconds; null: any length."""
    unwritable: list[Count] = Field(default_factory=list)
    """Positions of the utterances whose text a model of the study cannot write; they are left out."""
    mix_channels: bool = False
    """Whether a recording of several channels of which its row names none is heard as the mean of all."""
    letters: str | None = None
    """The alphabet of a fresh CTC head, which lies nowhere else; null: a model or a manifest."""


class CacheLimits(Record):
    """How much room a worker may give to the outputs of frozen encoders."""

    memory_gib: Amount
    """GiB of memory."""
    disk_gib: Amount
    """GiB of disk."""


NO_CACHE = CacheLimits(memory_gib=0, disk_gib=0)


class PlanFile(Record):
    """A study's plan as it lies in its folder."""

    format: str = Field(alias="schema")
    """Name and version of the format: `asr-scaling/plan-1`."""
    study: str
    """Name of the study."""
    session: str
    """Names the invocation that wrote the file: a failure in it is final until the next one."""
    ledger_path: str = Field(alias="ledger")
    """Root folder of the ledger: absolute, or relative to the folder of the plan."""
    threads: PositiveCount
    """CPU threads of a process."""
    processes: PositiveCount = 1
    """Processes of a worker, each with an accelerator of its own."""
    gradient_accumulation: PositiveCount = 1
    """Pieces that each batch is cut into."""
    gradient_checkpointing: bool = False
    """Whether activations are computed again in the backward pass instead of being stored."""
    compile: bool = False
    """Whether layers are compiled."""
    checkpoint_seconds: Positive
    """Seconds of training between checkpoints."""
    encoder_cache: CacheLimits = Field(default=NO_CACHE, alias="kept")
    """Limits of the cache of frozen encoders' outputs."""
    tracker: str
    """`wandb`, `tensorboard` or `none`."""
    nodes: list[Name]
    """Keys of the nodes to work on, in working order."""
    work: dict[str, WorkItem]
    """What each node takes and needs, by its key."""
    evaluation_flops: dict[str, Count] = Field(default_factory=dict)
    """FLOPs of decoding dev and test sets, by the key of the node that ends a run; early files do not say."""
    sources: dict[str, Source]
    """Where models and manifests lie, by the digest of their content."""
    runs: list[RunDescription]
    """What is known about each run."""
    _folder: Path = PrivateAttr(default=Path())

    @property
    def folder(self) -> Path:
        """Where the study's files lie."""
        return self._folder

    @property
    def path(self) -> Path:
        """The file that workers are started with."""
        return self.folder / PLAN_FILE

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger that holds the plan's nodes."""
        return Ledger(self.folder / self.ledger_path)

    def placed_in(self, folder: Path) -> "PlanFile":
        """The plan as the one that lies in `folder`."""
        self._folder = folder
        return self


def read_plan_file(folder: Path) -> PlanFile:
    """The plan file in `folder`. Raises InputError where no study was run there, or the file cannot be followed."""
    path = folder / PLAN_FILE
    if not os.path.lexists(path):
        raise InputError(f"{folder}: no {PLAN_FILE}; expected a study's folder (`asr-scaling run STUDY --out DIR`)")
    return read_plan(path)


def read_plan(path: Path) -> PlanFile:
    """The plan in the file `path`. Raises InputError where it cannot be followed."""
    plan = parse_record(PlanFile, read_regular(path), str(path)).placed_in(path.parent)
    if plan.format != SCHEMA:
        raise InputError(f"{path}: schema {plan.format!r}; expected {SCHEMA!r}")
    known = plan.work.keys() & set(plan.nodes)
    used = chain(
        plan.nodes, *(run.nodes for run in plan.runs), (stage.node for run in plan.runs for stage in run.stages)
    )
    if unknown := set(used) - known:
        raise InputError(f"{path}: node {min(unknown)!r} is used by a run and not among `nodes` and `work`")
    return plan
