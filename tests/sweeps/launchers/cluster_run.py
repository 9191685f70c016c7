"""`python cluster_run.py STUDY DIR WORKERS LAUNCHER [--detach]`: `asr-scaling run --on LAUNCHER` with stand-in workers.

With `--real` it is the real trainer that works. It looks more often and is less patient than a real launcher: the
queue here is ours alone.
"""

import signal
import sys
from pathlib import Path

from local_run import STAND_IN

from scaling.ledger.ledger import Ledger
from scaling.system import console
from sweeps.launchers import cluster_workers, ray_cluster, slurm
from sweeps.launchers.options import Launcher
from sweeps.plan.prepare import prepare
from sweeps.run import run as running

if __name__ == "__main__":
    slurm.Slurm.snapshot_seconds = 0.3
    ray_cluster.RayCluster.snapshot_seconds = 0.3
    ray_cluster.PASSED_VARIABLES += ("STAND_IN_",)
    slurm.STOP_SECONDS = 50.0  # of a time limit of one minute, the shortest that Slurm knows
    cluster_workers.BACK_OFF_SECONDS = (0.1, 0.5)
    cluster_workers.REFUSED_SECONDS = 1.0
    cluster_workers.POLL_SECONDS = 0.1

    signal.alarm(150)  # a test that hangs leaves nothing behind
    study, folder, workers, launcher, *options = sys.argv[1:]
    if "--real" not in options:
        running.trainer = lambda *_, **__: STAND_IN
    out = Path(folder)
    outcome = running.train(
        prepare(study, [], Ledger(out)),
        out,
        Ledger(out),
        int(workers),
        Launcher(launcher),
        detach="--detach" in options,
    )
    console.log(f"exit code {outcome.exit_code}")
    sys.exit(outcome.exit_code)
