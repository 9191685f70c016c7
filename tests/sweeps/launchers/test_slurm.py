"""Studies on a real Slurm of two nodes, which this file starts and ends: see slurm_cluster.py.

The large site comes first. Its kernel kills for memory, and counts that for the whole machine: a worker of a test of
local workers that dies at the same time would be taken for killed for memory, and `.ci/run` has those run beside these,
but later.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from local_run import run_locally
from processes import killed, leases, table, wait_until
from slurm_cluster import NODES, SlurmCluster, missing_programs
from small_study import StudyWriter
from tiny_world import timeless, train_study, write_world
from tiny_world import write_study as write_tiny_study

from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import read_plan_file
from sweeps.launchers.options import Launcher
from sweeps.launchers.slurm import job_name, refuse_missing_slurm
from sweeps.progress.results_table import read_rows
from sweeps.progress.status import State, survey_study

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(os.getuid() != 0, reason="a Slurm of its own needs root"),
    pytest.mark.skipif(bool(missing_programs()), reason=f"not installed: {', '.join(missing_programs())}"),
]

CLUSTER_RUN = Path(__file__).with_name("cluster_run.py")


@pytest.fixture(scope="module", params=[False], ids=["small site"])
def started_slurm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    with SlurmCluster(tmp_path_factory.mktemp("slurm"), large=request.param) as cluster:
        yield cluster


def at(*large: bool) -> pytest.MarkDecorator:
    """At a small site, at a large one, or at both: see slurm_cluster.py."""
    names = ["large site" if value else "small site" for value in large]
    return pytest.mark.parametrize("started_slurm", large, indirect=True, ids=names, scope="module")


@pytest.fixture
def slurm(started_slurm: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmCluster]:
    """With both nodes up and an empty queue; Slurm's commands of this process find it."""
    monkeypatch.setenv("SLURM_CONF", started_slurm.environment["SLURM_CONF"])
    yield started_slurm
    started_slurm.command("scancel", "--user=root")
    wait_until(lambda: not started_slurm.queue() and started_slurm.nodes_in("idle") == len(NODES), 60)


@dataclass
class LauncherProcess:
    """A launcher, what it says in a file; gone when the test is over."""

    process: subprocess.Popen[bytes]
    said: Path

    def ended(self) -> tuple[int, str]:
        return self.process.wait(150), self.said.read_text()


Launch = Callable[..., LauncherProcess]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    started_launchers: list[LauncherProcess] = []

    def start(study: Path, folder: Path, workers: int, *options: str, **environment: str) -> LauncherProcess:
        said = tmp_path / f"said-{len(started_launchers)}"
        with said.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, str(CLUSTER_RUN), str(study), str(folder), str(workers), Launcher.SLURM, *options],
                env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
                stderr=output,
            )
        started_launchers.append(LauncherProcess(process, said))
        return started_launchers[-1]

    yield start
    for launcher in started_launchers:
        launcher.process.kill()
        launcher.process.wait()


def finished(folder: Path) -> int:
    return len(list(folder.glob("stages/*/result.json")))


def submitted(slurm: SlurmCluster, folder: Path) -> list[str]:
    """Every job of the folder that Slurm remembers."""
    return slurm.queue("--states=all", f"--name={job_name(read_plan_file(folder))}")


def pid_of(lease: dict[str, Any]) -> int:
    """All nodes share this machine's process numbers."""
    return int(lease["pid"])


@at(True, False)
def test_a_study_in_a_folder_with_any_name_runs_on_both_nodes_and_gives_the_table_of_a_local_one(
    slurm: SlurmCluster, launch: Launch, write_study: StudyWriter, tmp_path: Path
) -> None:
    study, out = write_study(seeds=[0, 1]), tmp_path / "a 'dir' %j \"of\" $many; #words \\ 名前"
    run_locally(study, tmp_path / "local", workers=2)
    code, said = launch(study, out, 4, STAND_IN_SECONDS="0.25").ended()
    assert code == 0, said
    assert table(out) == table(tmp_path / "local")
    assert {lease["host"] for lease in leases(out)} == set(NODES)
    assert all(lease["worker"].startswith("slurm-") for lease in leases(out))
    assert not list(out.glob("stages/*/attempts/0002"))
    assert not slurm.queue(f"--name={job_name(read_plan_file(out))}")
    assert len(submitted(slurm, out)) == 4


def test_the_real_trainer_under_slurm_gives_what_it_gives_here(slurm: SlurmCluster, tmp_path: Path) -> None:
    study = write_tiny_study(write_world(tmp_path / "world"), budgets_flops=[1e8], slurm={"gpus": 1})
    here = train_study(study, tmp_path / "here")
    command = [sys.executable, "-c", "from scaling.cli import main; main()", "run", str(study), "--on", "slurm"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*command, "--workers", "2", "--out", "slurm"], cwd=tmp_path, env=environment, capture_output=True, timeout=200
    )
    assert done.returncode == 0, done.stderr.decode()
    rows = read_rows(tmp_path / "slurm")
    assert len(rows) == 2
    assert [timeless(row) for row in rows] == [timeless(row) for row in here]


@dataclass
class Spread:
    """A study of one run whose worker is on both machines, under way, and the row of a local one in one process."""

    launcher: LauncherProcess
    out: Path
    alone: dict[str, Any]

    def assert_ends_alike(self) -> str:
        """What the launcher said."""
        code, said = self.launcher.ended()
        assert code == 0, said
        (row,) = [row.as_json() for row in read_rows(self.out)]
        assert [row[field] for field in ("key", "flops", "cer")] == [self.alone[f] for f in ("key", "flops", "cer")]
        assert row["stages"][0]["loss"] == pytest.approx(self.alone["stages"][0]["loss"], rel=1e-4)
        assert row["provenance"]["processes"] > 1
        return said


@pytest.fixture
def spread(launch: Launch, tmp_path: Path) -> Callable[..., Spread]:
    def start(budget_flops: float = 1e9, **fields: Any) -> Spread:
        world = write_world(tmp_path / "world")
        model = {"encoder": "encoder", "llm": "llm", "lr_scale": 0.1}
        study = {"models": [model], "strategies": ["joint"], "budgets_flops": [budget_flops], "cooldown": 0.0}
        (alone,) = train_study(write_tiny_study(world, **study), tmp_path / "alone")
        out, several = tmp_path / "out", write_tiny_study(world, **study, slurm={"nodes": 2}, **fields)
        launcher = launch(several, out, 1, "--real", CUDA_VISIBLE_DEVICES="")
        events = partial(out.glob, "stages/*/attempts/*/events.jsonl")
        wait_until(lambda: any("progress" in path.read_text() for path in events()), 90)
        return Spread(launcher, out, alone)

    return start


def test_a_worker_on_two_machines_leaves_with_a_checkpoint_when_asked_to_and_the_next_one_goes_on(
    slurm: SlurmCluster, spread: Callable[..., Spread]
) -> None:
    """Two processes on each, every one with a share of the LLM."""
    started = spread(4e8, processes=2, shard=True)
    job = leases(started.out)[0]["worker"].removeprefix("slurm-")
    slurm.command("scancel", "--batch", "--signal=TERM", job)
    said = started.assert_ends_alike()
    assert f"slurm-{job} is gone (asked to leave" in said
    assert len(list(started.out.glob("stages/*/attempts/0001/checkpoint-*/progress.json"))) == 1


def test_a_process_that_dies_on_one_machine_ends_its_worker_on_both(
    slurm: SlurmCluster, spread: Callable[..., Spread]
) -> None:
    started = spread()
    os.kill(next(pid for pid in slurm.processes_of("n2") if b"scaling.asr" in command_line(pid)), signal.SIGKILL)
    said = started.assert_ends_alike()
    assert "is gone (killed by SIGKILL" in said


def command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


@at(True, False)
def test_a_killed_worker_is_replaced_and_its_node_is_free_at_once(
    slurm: SlurmCluster, launch: Launch, write_study: StudyWriter, tmp_path: Path
) -> None:
    study, out = write_study(), tmp_path / "out"
    run_locally(study, tmp_path / "local", workers=2)
    launcher = launch(study, out, 2, STAND_IN_SECONDS="0.4")
    wait_until(lambda: len(leases(out)) >= 2, 20)
    os.kill(pid_of(leases(out)[0]), signal.SIGKILL)
    began = time.monotonic()
    code, said = launcher.ended()
    assert code == 0, said
    assert time.monotonic() - began < 25, "waited for a heartbeat to grow old"
    assert "is gone (killed by SIGKILL" in said
    assert table(out) == table(tmp_path / "local")


def test_a_node_that_kills_every_worker_fails_and_the_others_go_on(
    slurm: SlurmCluster, launch: Launch, write_study: StudyWriter, tmp_path: Path
) -> None:
    hurts, out = tmp_path / "hurts", tmp_path / "out"
    hurts.touch()
    study = write_study(budgets_flops=[2_000_000_000], strategies=["joint"])
    code, said = launch(study, out, 1, STAND_IN_HURTS=str(hurts)).ended()
    assert code == 1, said
    found = survey_study(read_plan_file(out))
    causes = [node.cause for node in found.nodes.values() if node.state is State.FAILED]
    assert len(causes) == 1
    assert str(causes[0]).startswith("error: its worker died 3 times, last: killed by SIGKILL")


def test_workers_that_cannot_start_are_given_up(
    slurm: SlurmCluster, launch: Launch, write_study: StudyWriter, tmp_path: Path
) -> None:
    code, said = launch(write_study(), tmp_path / "out", 2, STAND_IN_SECONDS="not a number").ended()
    assert code == 1
    assert "could not convert string to float: 'not a number'" in said
    assert "cannot start (exit code 1: ValueError" in said


def test_a_controller_that_is_gone_for_a_while_changes_nothing(
    slurm: SlurmCluster, launch: Launch, write_study: StudyWriter, tmp_path: Path
) -> None:
    study, out = write_study(), tmp_path / "out"
    launcher = launch(study, out, 2, STAND_IN_SECONDS="0.6")
    wait_until(lambda: finished(out) >= 2, 20)
    slurm.end_controller()
    before = finished(out)
    wait_until(lambda: finished(out) >= before + 2, 20)  # workers need no controller
    slurm.start_controller()
    code, said = launcher.ended()
    assert code == 0, said
    assert "is gone" not in said
    assert len(submitted(slurm, out)) == 2


@at(True)
def test_accounting_that_is_away_changes_nothing_and_learns_of_every_job_afterwards(
    slurm: SlurmCluster, launch: Launch, write_study: StudyWriter, tmp_path: Path
) -> None:
    study, out = write_study(), tmp_path / "out"
    launcher = launch(study, out, 2, STAND_IN_SECONDS="0.6")
    wait_until(lambda: finished(out) >= 2, 20)
    with slurm.accounting_away():
        code, said = launcher.ended()
    assert code == 0, said
    assert "is gone" not in said
    # failed, to Slurm, is a worker that was asked to leave just before it saw for itself that nothing is left to do
    ended = [["COMPLETED", "COMPLETED"], ["COMPLETED", "FAILED"], ["FAILED", "FAILED"]]
    wait_until(lambda: sorted(slurm.accounted(f"--name={job_name(read_plan_file(out))}")) in ended, 30)


@at(True)
def test_a_worker_killed_for_memory_goes_on_in_smaller_pieces(
    slurm: SlurmCluster, launch: Launch, write_study: StudyWriter, tmp_path: Path
) -> None:
    if not slurm.groups:
        pytest.skip("Slurm watches no memory here: no control groups of version 1 can be made")
    study, out = write_study(strategies=["joint"], slurm={"memory": "200M"}), tmp_path / "out"
    run_locally(study, tmp_path / "local", workers=2)
    code, said = launch(study, out, 1, STAND_IN_EATS=str(300 * 2**20)).ended()
    assert code == 0, said
    assert "(out of memory); replaced while there is work" in said
    assert table(out) == table(tmp_path / "local")
    ledger = Ledger(out)
    assert {ledger.memory_failures(key) for key in read_plan_file(out).nodes} == {1}


def test_when_a_machine_dies_its_work_is_done_elsewhere(
    slurm: SlurmCluster, launch: Launch, write_study: StudyWriter, tmp_path: Path
) -> None:
    study, out = write_study(), tmp_path / "out"
    run_locally(study, tmp_path / "local", workers=2)
    launcher = launch(study, out, 4, STAND_IN_SECONDS="1")
    try:
        wait_until(lambda: {lease["host"] for lease in leases(out)} == set(NODES), 20)
        slurm.kill_node("n2")
        code, said = launcher.ended()
    finally:
        slurm.start_node("n2")
    assert code == 0, said
    assert table(out) == table(tmp_path / "local")


def test_a_worker_that_is_asked_to_leave_or_queued_again_loses_nothing(
    slurm: SlurmCluster, launch: Launch, write_study: StudyWriter, tmp_path: Path
) -> None:
    study, out = write_study(), tmp_path / "out"
    launcher = launch(study, out, 2, STAND_IN_SECONDS="1")
    wait_until(lambda: len(leases(out)) >= 2, 20)
    first, second = (lease["worker"].removeprefix("slurm-") for lease in leases(out)[:2])
    slurm.command("scancel", "--batch", "--signal=TERM", first)
    slurm.command("scontrol", "requeue", second)
    code, said = launcher.ended()
    assert code == 0, said
    assert f"slurm-{first} is gone (asked to leave" in said
    assert len(table(out)) == 6


def test_an_urgent_job_may_take_the_machine(
    slurm: SlurmCluster, launch: Launch, write_study: StudyWriter, tmp_path: Path
) -> None:
    study, out = write_study(), tmp_path / "out"
    launcher = launch(study, out, 4, STAND_IN_SECONDS="1")
    wait_until(lambda: {lease["host"] for lease in leases(out)} == set(NODES), 20)
    slurm.command("srun", "--partition=urgent", "--nodelist=n1", "--exclusive", "sleep", "2")
    code, said = launcher.ended()
    assert code == 0, said
    assert len(table(out)) == 6
    assert "died" not in said


def test_a_time_limit_is_met_with_a_checkpoint_and_another_worker(
    slurm: SlurmCluster, launch: Launch, write_study: StudyWriter, tmp_path: Path
) -> None:
    study = write_study(slurm={"time": "1"}, strategies=["joint"])
    out = tmp_path / "out"
    hurry = tmp_path / "hurry"
    # Slurm looks for time limits every 30 s: the study must last longer
    launcher = launch(study, out, 1, STAND_IN_SECONDS="9", STAND_IN_HURRIES=str(hurry))
    wait_until(lambda: "is gone" in launcher.said.read_text(), 60)
    hurry.touch()
    code, said = launcher.ended()
    assert code == 0, said
    assert "is gone (asked to leave" in said
    assert len({lease["worker"] for lease in leases(out)}) >= 2
    assert len(table(out)) == 3


@at(True, False)
def test_a_launcher_killed_and_started_again_adopts_its_jobs(
    slurm: SlurmCluster, launch: Launch, write_study: StudyWriter, tmp_path: Path
) -> None:
    study, out = write_study(seeds=[0, 1, 2]), tmp_path / "out"
    for _ in range(2):
        launcher = launch(study, out, 6, STAND_IN_SECONDS="0.5")  # on four cores: two of them wait in the queue
        wait_until(lambda: "Slurm: " in launcher.said.read_text() and len(leases(out)) >= 4, 20)  # noqa: B023
        launcher.process.kill()
        launcher.process.wait()
    code, said = launch(study, out, 6).ended()
    assert code == 0, said
    assert "submitted" not in said
    assert {job.partition("_")[0] for job in submitted(slurm, out) if "_" in job} == {
        lease["worker"].removeprefix("slurm-").partition("_")[0] for lease in leases(out)
    }
    assert not slurm.queue(f"--name={job_name(read_plan_file(out))}")
    assert len(table(out)) == 18


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_launcher_empties_the_queue_and_leaves_a_resumable_state(
    number: signal.Signals, slurm: SlurmCluster, launch: Launch, write_study: StudyWriter, tmp_path: Path
) -> None:
    study, out = write_study(), tmp_path / "out"
    launcher = launch(study, out, 6, STAND_IN_SECONDS="1")
    wait_until(lambda: len(leases(out)) >= 2, 20)
    launcher.process.send_signal(number)
    code, said = launcher.ended()
    assert code == 128 + number, said
    assert not slurm.queue(f"--name={job_name(read_plan_file(out))}")
    assert survey_study(read_plan_file(out)).in_state(State.RUNNING) == []
    assert launch(study, out, 4).ended()[0] == 0


def test_detached_workers_go_on_alone_and_are_found_again(
    slurm: SlurmCluster, launch: Launch, write_study: StudyWriter, tmp_path: Path
) -> None:
    study, out = write_study(), tmp_path / "out"
    code, said = launch(study, out, 2, "--detach", STAND_IN_SECONDS="0.5").ended()
    assert code == 0, said
    assert finished(out) < len(read_plan_file(out).nodes)
    wait_until(lambda: survey_study(read_plan_file(out)).finished, 40)
    assert len(submitted(slurm, out)) == 2
    assert launch(study, out, 2).ended()[0] == 0
    assert len(table(out)) == 6
    assert len(submitted(slurm, out)) == 2


@at(True, False)
def test_workers_that_somebody_cancels_are_not_forced_back(
    slurm: SlurmCluster, launch: Launch, write_study: StudyWriter, tmp_path: Path
) -> None:
    study, out = write_study(seeds=[0, 1, 2]), tmp_path / "out"
    launcher = launch(study, out, 6, STAND_IN_SECONDS="1")  # two of them have not begun
    wait_until(lambda: len(leases(out)) >= 4, 20)
    slurm.command("scancel", f"--name={job_name(read_plan_file(out))}")
    code, said = launcher.ended()
    assert code == 1, said
    assert said.count("(cancelled); not replaced") == 6
    assert launch(study, out, 2).ended()[0] == 0


def test_what_slurm_refuses_ends_the_command_with_slurm_s_words(
    slurm: SlurmCluster, launch: Launch, write_study: StudyWriter, tmp_path: Path
) -> None:
    study = write_tiny_study(write_world(tmp_path / "world"), slurm={"partition": "no-such"})
    command = [sys.executable, "-c", "from scaling.cli import main; main()", "run", str(study), "--on", "slurm"]
    done = subprocess.run([*command, "--out", str(tmp_path / "out")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "invalid partition specified: no-such" in done.stderr.splitlines()[-1]


def test_workers_killed_at_random_lose_nothing_and_commit_nothing_twice(
    slurm: SlurmCluster, launch: Launch, write_study: StudyWriter, tmp_path: Path
) -> None:
    study, out = write_study(seeds=[0, 1, 2]), tmp_path / "out"
    run_locally(study, tmp_path / "local", workers=2)
    chance, kills = random.Random(0), 0
    launcher = launch(study, out, 4, STAND_IN_SECONDS="0.5")
    while launcher.process.poll() is None:
        time.sleep(chance.uniform(0.2, 0.8))
        victims = [pid for node in NODES for pid in slurm.processes_of(node)]
        if victims and kills < 25:
            kills += killed(chance.choice(victims))
    while launcher.process.wait(150) != 0:
        launcher = launch(study, out, 4)
    assert kills >= 10
    assert table(out) == table(tmp_path / "local")
    assert finished(out) == len(read_plan_file(out).nodes)
    assert all(Ledger(out).result(key) for key in read_plan_file(out).nodes)


def test_without_slurm_the_message_says_so(
    write_study: StudyWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ValueError, match="--on slurm: no sbatch, squeue, scancel on this machine"):
        refuse_missing_slurm()
