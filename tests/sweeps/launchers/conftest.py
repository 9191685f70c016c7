"""A Slurm for the tests that need one, and launchers that are gone when a test is over."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import CLUSTER_RUN, Launch, LauncherProcess, wait_until
from slurm_cluster import NODES, SlurmCluster

from sweeps.launchers.options import Launcher


@pytest.fixture(scope="module", params=[False], ids=["small site"])
def started_slurm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    with SlurmCluster(tmp_path_factory.mktemp("slurm"), large=request.param) as cluster:
        yield cluster


@pytest.fixture
def slurm(started_slurm: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmCluster]:
    """With both nodes up and an empty queue; Slurm's commands of this process find it."""
    monkeypatch.setenv("SLURM_CONF", started_slurm.environment["SLURM_CONF"])
    yield started_slurm
    started_slurm.command("scancel", "--user=root")
    wait_until(lambda: not started_slurm.queue() and started_slurm.nodes_in("idle") == len(NODES), 60)


@pytest.fixture
def started_launchers() -> Iterator[list[LauncherProcess]]:
    """Launchers of a test, gone when it is over."""
    started: list[LauncherProcess] = []
    yield started
    for launcher in started:
        launcher.process.kill()
        launcher.process.wait()


@pytest.fixture
def launch(started_launchers: list[LauncherProcess], tmp_path: Path) -> Launch:
    """On Slurm; the tests of Ray have one of their own."""

    def start(study: Path, folder: Path, workers: int, *options: str, **environment: str) -> LauncherProcess:
        command = [sys.executable, str(CLUSTER_RUN), str(study), str(folder), str(workers), Launcher.SLURM, *options]
        said = tmp_path / f"said-{len(started_launchers)}"
        started_launchers.append(LauncherProcess(command, said, {"OMP_NUM_THREADS": "1", **environment}))
        return started_launchers[-1]

    return start
