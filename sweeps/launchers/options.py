"""The launchers that `--on` may name. This module imports nothing slow, because every `--help` needs it."""

from enum import StrEnum

from scaling.errors import InputError


class Launcher(StrEnum):
    """`--on`: who starts the workers."""

    LOCAL = "local"
    SLURM = "slurm"
    RAY = "ray"


def nodes_override(launcher: Launcher, nodes: int | None) -> list[str]:
    """`--nodes` as an override of the study's field. Raises InputError where a worker cannot span several machines."""
    if nodes is not None and launcher is not Launcher.SLURM:
        raise InputError(f"--nodes {nodes}: a worker on {launcher} is on one machine; expected --on slurm")
    return [] if nodes is None else [f"slurm.nodes={nodes}"]
