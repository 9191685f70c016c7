"""What may befall a study on a real Slurm of two nodes: workers, machines and Slurm itself fail.

The large site comes first, and `make test-slurm` runs this file first. There a kernel kills a worker that takes too
much memory, and counts that for the whole machine: a local worker that another test kills at this moment would seem
killed for memory, too. `.ci/run` has the tests of local workers run beside these, but later.
"""

import os
import random
import signal
import time
from pathlib import Path

import pytest
from local_run import run_locally
from processes import Launch, finished, killed, leases, table, wait_until
from slurm_cluster import NODES, SlurmCluster, at, needs_slurm
from small_study import StudyWriter

from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import read_plan_file
from sweeps.launchers.slurm import job_name
from sweeps.progress.status import State, survey_study

pytestmark = needs_slurm


@at(True, False)
def test_a_killed_worker_is_replaced_and_its_node_is_free_at_once(
    slurm: SlurmCluster, launch: Launch, write_study: StudyWriter, tmp_path: Path
) -> None:
    study, out = write_study(), tmp_path / "out"
    run_locally(study, tmp_path / "local", workers=2)
    launcher = launch(study, out, 2, STAND_IN_SECONDS="0.4")
    wait_until(lambda: len(leases(out)) >= 2, 20)
    os.kill(leases(out)[0]["pid"], signal.SIGKILL)
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
    assert len(slurm.jobs_of(out)) == 2


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
