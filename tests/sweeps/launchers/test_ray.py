"""Studies on a real Ray cluster of two nodes, which this file starts and ends: see ray_nodes.py."""

import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_run import run_locally
from processes import CLUSTER_RUN, Launch, LauncherProcess, alive, killed, leases, parent_of, table, wait_until
from ray_nodes import ADDRESS, NODES, RayNodes
from small_study import StudyWriter
from tiny_world import timeless, train_study, trains, write_world
from tiny_world import write_study as write_tiny_study

from scaling.errors import InputError
from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import read_plan_file
from sweeps.launchers.ray_cluster import refuse_missing_ray
from sweeps.progress.results_table import read_rows
from sweeps.progress.status import State, survey_study
from sweeps.study.schema.worker_fields import RayFields

needs_ray = [
    pytest.mark.ray,
    pytest.mark.skipif(os.getuid() != 0, reason="a network namespace of its own needs root"),
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="not installed: ray"),
]
CLI = [sys.executable, "-P", "-c", "from scaling.cli import main; main()"]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayNodes]:
    """Nodes hand their own variables on to workers: those of the stand-in point to files that tests write.

    Any Ray started here before may have left a token in the user's folder, which `ray start` then waits for in vain.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        with RayNodes() as started:
            yield started


@pytest.fixture
def launch(nodes: RayNodes, started_launchers: list[LauncherProcess], tmp_path: Path) -> Launch:
    def start(study: Path, folder: Path, workers: int, **environment: str) -> LauncherProcess:
        command = nodes.inside([sys.executable, str(CLUSTER_RUN), str(study), str(folder), str(workers), "ray"])
        said = tmp_path / f"said-{len(started_launchers)}"
        started_launchers.append(
            LauncherProcess(command, said, {"OMP_NUM_THREADS": "1", "RAY_ADDRESS": ADDRESS, **environment})
        )
        return started_launchers[-1]

    return start


class TestOnACluster:
    pytestmark = needs_ray

    def test_a_study_runs_on_both_nodes_and_gives_the_table_of_a_local_one(
        self, launch: Launch, write_study: StudyWriter, tmp_path: Path
    ) -> None:
        study, out = write_study(seeds=[0, 1]), tmp_path / "a 'dir' of \"many\" words 名前"
        run_locally(study, tmp_path / "local", workers=2)
        code, said = launch(study, out, 4, STAND_IN_SECONDS="0.3").ended()
        assert code == 0, said
        assert table(out) == table(tmp_path / "local")
        assert {lease["host"] for lease in leases(out)} == set(NODES)
        assert not list(out.glob("stages/*/attempts/0002"))

    def test_the_real_trainer_on_ray_gives_what_it_gives_here(self, nodes: RayNodes, tmp_path: Path) -> None:
        study = write_tiny_study(write_world(tmp_path / "world"), budgets_flops=[1e8], ray={"gpus": 1})
        here = train_study(study, tmp_path / "here")
        (tmp_path / "sweeps").mkdir()  # Ray's processes are not to import what lies in the folder of the command
        (tmp_path / "sweeps" / "__init__.py").write_text("raise SystemExit(1)")
        command = nodes.inside([*CLI, "run", str(study), "--workers", "2", "--out", "ray", "--on", "ray"])
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_ADDRESS": ADDRESS}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=200)
        assert done.returncode == 0, done.stderr.decode()
        rows = read_rows(tmp_path / "ray")
        assert len(rows) == 2
        assert [timeless(row) for row in rows] == [timeless(row) for row in here]

    def test_a_worker_of_two_processes_leaves_with_a_checkpoint_whoever_asks_it(
        self, nodes: RayNodes, started_launchers: list[LauncherProcess], tmp_path: Path
    ) -> None:
        fields = {"processes": 2, "ray": {"cpus": 2}, "cooldown": 0.0, "checkpoint_seconds": 3600.0}
        study = write_tiny_study(write_world(tmp_path / "world"), strategies=["joint"], budgets_flops=[1e9], **fields)
        out = tmp_path / "out"
        command = nodes.inside([*CLI, "run", str(study), "--on", "ray", "--workers", "1", "--out", str(out)])

        def started(attempt: str) -> LauncherProcess:
            started_launchers.append(
                LauncherProcess(command, tmp_path / f"said-{attempt}", {"OMP_NUM_THREADS": "1", "RAY_ADDRESS": ADDRESS})
            )
            wait_until(lambda: trains(out, attempt), 200)
            return started_launchers[-1]

        first = started("0001")
        first.process.send_signal(signal.SIGTERM)
        code, said = first.ended()
        assert code == 128 + signal.SIGTERM, said
        second = started("0002")
        (torchrun,) = {parent_of(lease["pid"]) for lease in leases(out) if alive(lease["pid"])}
        os.kill(torchrun, signal.SIGTERM)
        code, said = second.ended()
        assert code == 0, said
        assert "is gone (asked to leave); replaced while there is work" in said
        for attempt in ("0001", "0002"):
            (left,) = out.glob(f"stages/*/attempts/{attempt}")
            assert list(left.glob("checkpoint-*/progress.json"))
            assert (left / "released.json").exists()
            assert not (left / "failure.json").exists()

    def test_a_killed_worker_is_replaced(self, launch: Launch, write_study: StudyWriter, tmp_path: Path) -> None:
        study, out = write_study(), tmp_path / "out"
        run_locally(study, tmp_path / "local", workers=2)
        launcher = launch(study, out, 2, STAND_IN_SECONDS="0.5")
        wait_until(lambda: len(leases(out)) >= 2, 90)
        os.kill(int(leases(out)[0]["pid"]), signal.SIGKILL)
        code, said = launcher.ended()
        assert code == 0, said
        assert "is gone (killed by SIGKILL" in said
        assert table(out) == table(tmp_path / "local")

    def test_a_node_that_kills_every_worker_fails_and_the_others_go_on(
        self, launch: Launch, write_study: StudyWriter, tmp_path: Path
    ) -> None:
        hurts, out = tmp_path / "hurts", tmp_path / "out"
        hurts.touch()
        study = write_study(budgets_flops=[2_000_000_000], strategies=["joint"])
        code, said = launch(study, out, 1, STAND_IN_HURTS=str(hurts)).ended()
        assert code == 1, said
        causes = [node.cause for node in survey_study(read_plan_file(out)).nodes.values() if node.state is State.FAILED]
        assert len(causes) == 1
        assert str(causes[0]).startswith("error: its worker died 3 times, last: killed by SIGKILL")

    def test_when_a_machine_dies_its_work_is_done_elsewhere(
        self, nodes: RayNodes, launch: Launch, write_study: StudyWriter, tmp_path: Path
    ) -> None:
        study, out = write_study(), tmp_path / "out"
        run_locally(study, tmp_path / "local", workers=2)
        launcher = launch(study, out, 4, STAND_IN_SECONDS="1")
        try:
            wait_until(lambda: {lease["host"] for lease in leases(out)} == set(NODES), 90)
            nodes.kill_node("n2")
            code, said = launcher.ended()
        finally:
            nodes.start_node("n2")
        assert code == 0, said
        assert "replaced while there is work" in said
        assert table(out) == table(tmp_path / "local")

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_to_the_launcher_reaches_the_workers(
        self, number: signal.Signals, launch: Launch, write_study: StudyWriter, tmp_path: Path
    ) -> None:
        study, out = write_study(), tmp_path / "out"
        launcher = launch(study, out, 6, STAND_IN_SECONDS="1")  # on four cores
        wait_until(lambda: len(leases(out)) >= 2, 90)
        launcher.process.send_signal(number)
        code, said = launcher.ended()
        assert code == 128 + number, said
        assert not any(alive(int(lease["pid"])) for lease in leases(out))
        found = survey_study(read_plan_file(out))
        assert found.in_state(State.RUNNING) == []
        assert found.in_state(State.WAITING)  # they left, and did not just come to the end
        assert not list(out.glob("stages/*/attempts/0002"))

    def test_workers_leave_when_their_launcher_is_killed_and_the_same_command_goes_on(
        self, launch: Launch, write_study: StudyWriter, tmp_path: Path
    ) -> None:
        study, out = write_study(), tmp_path / "out"
        run_locally(study, tmp_path / "local", workers=2)
        launcher = launch(study, out, 4, STAND_IN_SECONDS="0.5")
        wait_until(lambda: len(leases(out)) >= 3, 90)
        launcher.process.kill()
        launcher.process.wait()
        wait_until(lambda: not any(alive(int(lease["pid"])) for lease in leases(out)), 90)
        code, said = launch(study, out, 4).ended()
        assert code == 0, said
        assert table(out) == table(tmp_path / "local")

    def test_workers_killed_at_random_lose_nothing_and_commit_nothing_twice(
        self, nodes: RayNodes, launch: Launch, write_study: StudyWriter, tmp_path: Path
    ) -> None:
        study, out = write_study(seeds=[0, 1]), tmp_path / "out"
        run_locally(study, tmp_path / "local", workers=2)
        chance, kills = random.Random(0), 0
        launcher = launch(study, out, 4, STAND_IN_SECONDS="0.4")
        while launcher.process.poll() is None:
            time.sleep(chance.uniform(0.2, 0.8))
            victims = workers_of(nodes) if kills < 25 else []
            if victims:
                kills += killed(chance.choice(victims))
        while launcher.process.wait(150) != 0:
            launcher = launch(study, out, 4)
        assert kills >= 5
        assert table(out) == table(tmp_path / "local")
        assert all(Ledger(out).result(key) for key in read_plan_file(out).nodes)

    def test_an_address_where_nothing_answers_ends_the_command_with_one_line(
        self, nodes: RayNodes, tmp_path: Path
    ) -> None:
        study = write_tiny_study(write_world(tmp_path / "world"), ray={"address": "127.0.0.1:1"})
        command = nodes.inside([*CLI, "run", str(study), "--on", "ray", "--out", str(tmp_path / "out")])
        done = subprocess.run(command, capture_output=True, text=True, timeout=100)
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1].startswith("error: Ray at 127.0.0.1:1 does not answer")
        assert not (tmp_path / "out").exists()


def workers_of(nodes: RayNodes) -> list[int]:
    """Our workers, and the tasks of Ray that run them."""
    found = []
    for pid in [pid for node in NODES for pid in nodes.processes_of(node)]:
        command = Path(f"/proc/{pid}/cmdline")
        text = command.read_bytes() if command.exists() else b""
        if b"stand_in.py" in text or text.startswith(b"ray::run_worker"):
            found.append(pid)
    return found


def test_without_ray_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"--on ray needs ray: pip install 'asr-scaling\[ray\]'"):
        refuse_missing_ray(RayFields())
