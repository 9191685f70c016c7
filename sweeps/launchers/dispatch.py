"""Where the workers of a study run: on this machine, under Slurm, or on Ray."""

from collections.abc import Collection
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from scaling.errors import InputError

if TYPE_CHECKING:  # the command line shows these names before anything is imported
    from scaling.ledger.plan_file import PlanFile
    from sweeps.launchers.fleet import Engine
    from sweeps.launchers.local import Command
    from sweeps.progress.status import Survey
    from sweeps.study.study import Study


class Watch(Protocol):
    """Looks at the ledger between looks at the workers."""

    def __call__(self, alive: Collection[str] = ()) -> "Survey":
        """The newest survey. `alive` are the names of the workers alive, where they are known."""


class Place(StrEnum):
    """`--on`: who starts the workers."""

    LOCAL = "local"
    SLURM = "slurm"
    RAY = "ray"


def nodes_field(place: Place, nodes: int | None) -> list[str]:
    """`--nodes` as a field of the study. Raises InputError where workers do not spread over machines."""
    if nodes is not None and place is not Place.SLURM:
        raise InputError(f"--nodes {nodes}: a worker on {place} is on one machine; expected --on slurm")
    return [] if nodes is None else [f"slurm.nodes={nodes}"]


def refuse_missing_place(place: Place, study: "Study", *, detach: bool) -> None:
    """Raise InputError where workers cannot be started there, or not be left to themselves there."""
    from sweeps.launchers.gpus import gpus
    from sweeps.launchers.local import refuse_missing_compiler
    from sweeps.launchers.ray_cluster import refuse_missing_ray
    from sweeps.launchers.slurm import refuse_missing_slurm

    if place is Place.LOCAL and study.processes > len(gpus() or range(study.processes)):
        raise InputError(f"processes {study.processes}: this machine has {len(gpus())} GPUs; expected at most one each")
    if place is Place.LOCAL and study.compile:
        refuse_missing_compiler()
    if study.shard and study.processes * (study.slurm.nodes if place is Place.SLURM else 1) == 1:
        raise InputError("shard true: one process has nobody to share with; expected processes: 2 or more")
    if detach and place is not Place.SLURM:
        raise InputError(f"--detach: workers on {place} end with their launcher; expected --on slurm")
    if place is Place.SLURM:
        refuse_missing_slurm()
    if place is Place.RAY:
        refuse_missing_ray(study.ray)


def in_step(place: Place, study: "Study", program: "Command") -> "Command":
    """One worker of the study there: `program` in as many processes as it has, which train each node together."""
    from sweeps.launchers.multi_process import srun, torchrun

    if place is Place.SLURM:
        cpus = study.slurm.cpus or study.threads
        return srun(program, nodes=study.slurm.nodes, processes=study.processes, cpus=cpus)
    return torchrun(program, study.processes)


def work_at(
    place: Place,
    study: "Study",
    plan_file: "PlanFile",
    command: "Command",
    *,
    workers: int | None,
    watch: "Watch",
    detach: bool,
) -> int | None:
    """Work through the plan; the signal that stopped it, or None when nothing was left, or all was left to Slurm.

    Raises InputError where a worker, or the place, finds a user's mistake.
    """
    from sweeps.launchers.fleet import DEFAULT_WORKERS, leave_running, run_fleet
    from sweeps.launchers.local import default_workers, run_workers

    if place is Place.LOCAL:
        return run_workers(
            plan_file, command, workers=workers or default_workers(study.threads, study.processes), watch=watch
        )
    engine, count = _engine(place, study, plan_file, command), workers or DEFAULT_WORKERS
    if detach:
        leave_running(engine, plan_file, workers=count, found=watch())
        return None
    return run_fleet(engine, plan_file, workers=count, watch=watch)


def _engine(place: Place, study: "Study", plan_file: "PlanFile", command: "Command") -> "Engine":
    from sweeps.launchers.ray_cluster import RayCluster
    from sweeps.launchers.slurm import Slurm

    return Slurm(plan_file, command, study.slurm) if place is Place.SLURM else RayCluster(plan_file, command, study.ray)
