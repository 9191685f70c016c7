"""How the processes of one worker are started, which train each node in step: by torchrun here, by srun under Slurm.

Both tell every process its rank in the variables of torch's own `env://`; `scaling.asr.execution.ranks` reads no others.
"""

from sweeps.launchers.local import STOP_SECONDS, Command

SRUN = "srun"

RANK = """\
export MASTER_ADDR=$SLURM_LAUNCH_NODE_IPADDR MASTER_PORT=$((10000 + SLURM_JOB_ID % 20000))
export WORLD_SIZE=$SLURM_STEP_NUM_TASKS RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID
exec "$@"
"""
"""srun is started on the first machine, where rank 0 is. The port lies below those that systems lend by themselves, and
is another one for every job (assumption: nobody listens there; a worker that finds it taken is replaced)."""


def torchrun(program: Command, processes: int) -> Command:
    """Several processes on one machine; `program` is a Python program. One process needs no torchrun."""
    if processes == 1:
        return program
    python, *module = program
    here = ["--standalone", "--local-addr=127.0.0.1"]  # else by its host name, which not every machine resolves
    return [python, "-m", "scaling.asr.execution.torchrun", *here, f"--nproc-per-node={processes}", *module]


def srun(program: Command, *, nodes: int, processes: int, cpus: int) -> Command:
    """`processes` with `cpus` each on every one of `nodes` machines that Slurm has allocated.

    Where one of them ends, the others have as long to follow as a checkpoint takes.
    """
    if nodes * processes == 1:
        return program
    size = [f"--nodes={nodes}", f"--ntasks-per-node={processes}", f"--cpus-per-task={cpus}"]
    return [SRUN, *size, f"--wait={STOP_SECONDS:.0f}", "bash", "-c", RANK, "rank", *program]
