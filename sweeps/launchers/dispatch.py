"""Runs the workers of a study with the launcher that `--on` names."""

from collections.abc import Callable, Collection

from scaling.errors import InputError
from scaling.ledger.plan_file import PlanFile
from sweeps.launchers.cluster_workers import DEFAULT_WORKERS, leave_running, run_cluster_workers
from sweeps.launchers.gpus import gpus
from sweeps.launchers.local_workers import default_workers, run_local_workers
from sweeps.launchers.options import Launcher
from sweeps.launchers.ray_cluster import RayCluster, refuse_missing_ray
from sweeps.launchers.slurm import Slurm, refuse_missing_slurm
from sweeps.launchers.worker_command import Command, refuse_missing_compiler, srun, torchrun
from sweeps.progress.status import Survey
from sweeps.study.study import Study


def refuse_unavailable(launcher: Launcher, study: Study, *, detach: bool) -> None:
    """Raise InputError where the launcher cannot start the study's workers, or cannot detach from them."""
    if launcher is Launcher.LOCAL and study.processes > len(gpus() or range(study.processes)):
        raise InputError(f"processes {study.processes}: this machine has {len(gpus())} GPUs; expected at most one each")
    if launcher is Launcher.LOCAL and study.compile:
        refuse_missing_compiler()
    if study.shard and study.processes * (study.slurm.nodes if launcher is Launcher.SLURM else 1) == 1:
        raise InputError("shard true: a single process cannot share the LLM; expected processes: 2 or more")
    if detach and launcher is not Launcher.SLURM:
        raise InputError(f"--detach: workers on {launcher} end with their launcher; expected --on slurm")
    if launcher is Launcher.SLURM:
        refuse_missing_slurm()
    if launcher is Launcher.RAY:
        refuse_missing_ray(study.ray)


def multi_process(launcher: Launcher, study: Study, program: Command) -> Command:
    """The command of one worker: `program` in as many processes as the study asks for, without a starter for one."""
    if launcher is Launcher.SLURM:
        cpus = study.slurm.cpus or study.threads
        return srun(program, nodes=study.slurm.nodes, processes=study.processes, cpus=cpus)
    return torchrun(program, study.processes)


def run_workers(
    launcher: Launcher,
    study: Study,
    plan_file: PlanFile,
    command: Command,
    *,
    workers: int | None,
    watch: Callable[[Collection[str]], Survey],
    detach: bool,
) -> int | None:
    """Work through the plan with up to `workers` workers (None: the launcher's default).

    `watch` is called again and again with the names of the workers alive, where they are known, and returns the newest
    survey of the ledger. Returns the signal that stopped the workers, or None where no work was left, or where
    `detach` left the work to Slurm. Raises InputError where a worker or the launcher finds a user's mistake.
    """
    if launcher is Launcher.LOCAL:
        count = workers or default_workers(study.threads, study.processes)
        return run_local_workers(plan_file, command, workers=count, watch=watch)
    on_slurm = launcher is Launcher.SLURM
    cluster = Slurm(plan_file, command, study.slurm) if on_slurm else RayCluster(plan_file, command, study.ray)
    count = workers or DEFAULT_WORKERS
    if detach:
        leave_running(cluster, plan_file, workers=count, survey=watch(()))
        return None
    return run_cluster_workers(cluster, plan_file, workers=count, watch=watch)
