"""Fields of workers: what each asks of Slurm and Ray, and keeps of what frozen encoders heard. None enters a key."""

from typing import Annotated

from pydantic import Field, StrictStr

from sweeps.study.schema.field_types import Count, Fields, Positive


class SlurmFields(Fields):
    """What each worker asks of Slurm with `--on slurm`, in sbatch's own words; none of it enters a key."""

    partition: StrictStr | None = None
    """Partition that jobs are submitted to."""
    account: StrictStr | None = None
    """Account that jobs are charged to."""
    time: Annotated[StrictStr, Field(pattern=r"^[0-9:-]+$")] | None = None
    """A worker that reaches it saves a checkpoint and leaves, and another one is submitted."""
    nodes: Count = 1
    """Machines a worker, with `processes` on each."""
    gpus: Count | Annotated[StrictStr, Field(pattern=r"^\w[\w.-]*:[1-9][0-9]*$")] | None = None
    """Of each machine: a number, or a kind and a number: `a100:1`."""
    cpus: Count | None = None
    """Of each process; default: `threads`."""
    memory: Annotated[StrictStr, Field(pattern=r"^[0-9]+[KMGT]?$")] | None = None
    """Of each machine: 64G."""
    sbatch: tuple[Annotated[StrictStr, Field(pattern="^--?[a-z]")], ...] = ()
    """More options of sbatch: [--qos=low, --constraint=a100]."""


class RayFields(Fields):
    """What each worker asks of Ray with `--on ray`; none of it enters a key."""

    address: StrictStr | None = None
    """Of a running cluster; default: $RAY_ADDRESS, a cluster that runs on this machine, or a new one."""
    gpus: Positive | None = None
    """GPUs of a worker; a part of one is allowed."""
    cpus: Count | None = None
    """CPUs of a worker. Default: `threads`."""


class CacheFields(Fields):
    """What a worker keeps of frozen encoders' outputs, in memory and, beyond that, in the cache folder.

    A GiB holds 1.2 hours of speech at Whisper-large's width in fp32, over 20 hours at the minis' (assumption: there is
    as much to spare).
    """

    memory_gib: Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)] = 1.0
    """Most memory, in GiB."""
    disk_gib: Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)] = 8.0
    """Most disk, in GiB."""
