"""The command line of a worker: which program trains, what it needs, and how several processes of it are started.

torchrun on one machine and srun under Slurm both tell every process its rank in the variables of torch's `env://`;
`scaling.asr.execution.ranks` reads no others.
"""

import importlib.util
import os
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from scaling.errors import InputError
from scaling.ledger.plan_file import PlanFile
from scaling.system.own_code import python_module
from sweeps.launchers.worker_exit import STOP_SECONDS

Command = Sequence[str]

TRAINER = python_module("scaling.asr")
"""The beginning of the command of this project's own trainer."""

TRAINER_MODULES = ("torch", "transformers", "peft", "safetensors")
"""What this project's trainer imports beyond the core dependencies."""

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Environment variables that tell the libraries under torch and numpy how many threads a worker has."""

SRUN = "srun"

SET_RANK = """\
export MASTER_ADDR=$SLURM_LAUNCH_NODE_IPADDR MASTER_PORT=$((10000 + SLURM_JOB_ID % 20000))
export WORLD_SIZE=$SLURM_STEP_NUM_TASKS RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID
exec "$@"
"""
"""What each process of srun runs first. srun is started on the first machine, where rank 0 is. The port lies below the
ports that systems give out by themselves, and differs from job to job (assumption: no other program listens there; a
worker that finds the port taken dies and is replaced)."""


def missing_trainer_modules() -> list[str]:
    """Those of `TRAINER_MODULES` that are not installed."""
    return [name for name in TRAINER_MODULES if importlib.util.find_spec(name) is None]


def trainer(*, shard: bool = False) -> Command:
    """One process of this project's trainer. Raises InputError where a module that it needs is not installed."""
    if missing := missing_trainer_modules():
        raise InputError(f"training needs {', '.join(missing)}: pip install 'asr-scaling[train]'")
    return [*TRAINER, *(["--shard"] if shard else [])]


def refuse_missing_compiler() -> None:
    """Raise InputError where this machine has no C++ compiler for torch.compile."""
    name = os.environ.get("CXX", "g++")
    if shutil.which(name) is None:
        raise InputError(f"compile true: needs a C++ compiler, and {name} is not there; expected one in PATH or in CXX")


def other_trainer(command: str) -> Command:
    """The trainer that a user names by a command line. Raises InputError where its program does not exist."""
    program = shlex.split(command)
    path = shutil.which(program[0]) if program else None
    if path is None:
        raise InputError(f"--worker {command!r}: no such program; expected a command such as 'python my_trainer.py'")
    return [str(Path(path).absolute()), *program[1:]]


def worker_command(program: Command, plan_file: PlanFile) -> Command:
    """The command line of a worker: a program that takes --ledger and --plan."""
    return [*program, "--ledger", str(plan_file.ledger.root.absolute()), "--plan", str(plan_file.path.absolute())]


def torchrun(program: Command, processes: int) -> Command:
    """Several processes of `program`, a Python program, on one machine. One process needs no torchrun."""
    if processes == 1:
        return program
    one_machine = ["--standalone", "--local-addr=127.0.0.1"]  # not every machine can resolve its own host name
    module = program[2:]  # without the interpreter and its `-P`: torchrun is told the module by its own `-m`
    return [*python_module("scaling.asr.execution.torchrun"), *one_machine, f"--nproc-per-node={processes}", *module]


def srun(program: Command, *, nodes: int, processes: int, cpus: int) -> Command:
    """`processes` with `cpus` each on every one of `nodes` machines that Slurm has allocated.

    When one process ends, the others have as long to follow as a checkpoint takes.
    """
    if nodes * processes == 1:
        return program
    size = [f"--nodes={nodes}", f"--ntasks-per-node={processes}", f"--cpus-per-task={cpus}"]
    return [SRUN, *size, f"--wait={STOP_SECONDS:.0f}", "bash", "-c", SET_RANK, "rank", *program]
