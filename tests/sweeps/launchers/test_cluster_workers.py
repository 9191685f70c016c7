"""Cluster workers, with a scheduler that starts real workers here and can fall silent or refuse."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from local_run import STAND_IN, run_locally
from processes import leases, table, wait_until
from small_study import StudyWriter

from scaling.errors import InputError
from scaling.ledger.lease import WORKER_NAME
from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import PlanFile
from scaling.system.progress_line import ProgressLine
from sweeps.launchers import cluster_workers
from sweeps.launchers.cluster_workers import (
    Snapshot,
    StartRefused,
    leave_running,
    run_cluster_workers,
    usable_workers,
)
from sweeps.launchers.slurm import Slurm
from sweeps.launchers.worker_command import worker_command
from sweeps.launchers.worker_exit import EXIT_KINDS, ExitKind, WorkerExit, worker_exit
from sweeps.plan.prepare import prepare
from sweeps.plan.write_plan import write_plan_file
from sweeps.progress.status import State, Survey, survey_study
from sweeps.run.monitor import Monitor
from sweeps.study.schema.worker_fields import SlurmFields


class Processes:
    """Processes of this machine. No answer to the first `silent` looks; `refusals` come after `accepts` starts."""

    name = "Here"
    snapshot_seconds = 0.05

    def __init__(self, plan_file: PlanFile, silent: int = 0, accepts: int = 99, refusals: int = 0) -> None:
        self.command = worker_command(STAND_IN, plan_file)
        self.silent, self.accepts, self.refusals = silent, accepts, refusals
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self.started: list[int] = []

    def snapshot(self) -> Snapshot | None:
        if self.silent:
            self.silent -= 1
            return None
        over = {name: worker for name, worker in self.workers.items() if worker.poll() is not None}
        self.workers = {name: worker for name, worker in self.workers.items() if name not in over}
        exits = [WorkerExit(worker=name, kind=self.kind(worker), reason="gone") for name, worker in over.items()]
        return Snapshot(present=len(self.workers), exits=exits, queue=f"{len(self.workers)} running")

    def kind(self, worker: "subprocess.Popen[bytes]") -> ExitKind:
        return EXIT_KINDS.get(worker.returncode, ExitKind.DIED)

    def start(self, count: int) -> None:
        if len(self.started) >= self.accepts and self.refusals:
            self.refusals -= 1
            raise StartRefused("too many jobs")
        for _ in range(count):
            name = f"here-{sum(self.started)}-{len(self.workers)}"
            self.workers[name] = subprocess.Popen(self.command, env={**os.environ, WORKER_NAME: name})
        self.started.append(count)

    def withdraw(self, count: int) -> None:
        pass  # they have all begun

    def ask_to_leave(self) -> None:
        for worker in self.workers.values():
            worker.send_signal(signal.SIGTERM)

    def cancel(self) -> None:
        for worker in self.workers.values():
            worker.kill()
            worker.wait()


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_workers, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(cluster_workers, "BACK_OFF_SECONDS", (0.05,))
    monkeypatch.setattr(cluster_workers, "REFUSED_SECONDS", 0.1)


@pytest.fixture
def plan_file(write_study: StudyWriter, tmp_path: Path) -> PlanFile:
    ledger = Ledger(tmp_path / "out")
    prepared = prepare(str(write_study()), [], ledger)
    return write_plan_file(prepared.study, prepared.plan, tmp_path / "out", ledger)


def run(scheduler: Processes, plan_file: PlanFile, workers: int = 2) -> Survey:
    monitor = Monitor(plan_file, ProgressLine())
    run_cluster_workers(scheduler, plan_file, workers=workers, watch=monitor.update)
    return monitor.finish(None).survey


def test_cluster_workers_give_the_table_of_local_ones_and_starts_no_worker_in_vain(
    plan_file: PlanFile, write_study: StudyWriter, tmp_path: Path
) -> None:
    run_locally(write_study(), tmp_path / "local", workers=2)
    scheduler = Processes(plan_file)
    run(scheduler, plan_file)
    assert table(plan_file.folder) == table(tmp_path / "local")
    assert scheduler.started == [2]


def test_nothing_is_started_while_the_scheduler_does_not_answer(
    plan_file: PlanFile, capsys: pytest.CaptureFixture[str]
) -> None:
    scheduler = Processes(plan_file, silent=10)
    run(scheduler, plan_file)
    assert scheduler.started == [2]
    assert capsys.readouterr().err.count("Here does not answer") == 1


def test_a_refusal_of_the_first_workers_is_the_user_s_matter(plan_file: PlanFile) -> None:
    with pytest.raises(InputError, match="too many jobs"):
        run(Processes(plan_file, accepts=0, refusals=1), plan_file)


def test_a_worker_that_cannot_start_at_all_ends_the_run_with_its_words(plan_file: PlanFile, tmp_path: Path) -> None:
    class Broken(Processes):
        def snapshot(self) -> Snapshot:
            log = tmp_path / "worker.log"
            log.write_text("ModuleNotFoundError: No module named 'torch'\n")
            return Snapshot(present=0, exits=[worker_exit("here-0", 1, log)] if self.started else [], queue="none")

        def start(self, count: int) -> None:
            self.started.append(count)

    scheduler = Broken(plan_file)
    words = r"worker here-0 cannot start \(exit code 1: ModuleNotFoundError: No module named 'torch'\)"
    with pytest.raises(InputError, match=words):
        run(scheduler, plan_file)
    assert scheduler.started == [2]


def test_a_later_refusal_passes(
    plan_file: PlanFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hurts = tmp_path / "hurts"
    hurts.touch()
    monkeypatch.setenv("STAND_IN_HURTS", str(hurts))
    monkeypatch.setenv("STAND_IN_ONCE", "1")
    scheduler = Processes(plan_file, accepts=1, refusals=2)
    found = run(scheduler, plan_file, workers=1)
    assert all(state is State.DONE for state in found.runs.values())
    assert scheduler.started == [1, 1]
    assert capsys.readouterr().err.count("too many jobs; trying again") == 2


def test_a_dead_worker_s_node_is_free_before_its_heartbeat_is_old(
    plan_file: PlanFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_SECONDS", "0.3")
    scheduler = Processes(plan_file)
    scheduler.start(1)
    wait_until(lambda: len(leases(plan_file.folder)) == 1, 20)
    dying = next(iter(scheduler.workers.values()))
    dying.kill()
    dying.wait()  # else another worker may see the death, and take the node, before the first look
    run(scheduler, plan_file)
    (abandoned,) = (path.with_name("0001") for path in plan_file.folder.glob("stages/*/attempts/0002"))
    assert (abandoned / "released.json").exists()


def test_a_worker_that_somebody_cancels_is_not_replaced(plan_file: PlanFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN_HURTS", str(plan_file.folder))
    monkeypatch.setattr(Processes, "kind", lambda self, worker: ExitKind.CANCELLED)
    scheduler = Processes(plan_file)
    found = run(scheduler, plan_file)
    assert scheduler.started == [2]
    assert State.FAILED not in found.runs.values()


def test_workers_left_to_themselves_finish_the_study(plan_file: PlanFile) -> None:
    scheduler = Processes(plan_file)
    leave_running(scheduler, plan_file, workers=2, survey=survey_study(plan_file))
    wait_until(lambda: survey_study(plan_file).finished, 30)
    assert [worker.wait(10) for worker in scheduler.workers.values()] == [0, 0]


def test_nobody_is_left_to_an_scheduler_that_does_not_answer(plan_file: PlanFile) -> None:
    with pytest.raises(InputError, match="Here does not answer; no workers were started"):
        leave_running(Processes(plan_file, silent=1), plan_file, workers=2, survey=survey_study(plan_file))


def test_there_is_a_place_for_every_node_that_could_be_trained_now(plan_file: PlanFile) -> None:
    assert usable_workers(plan_file, survey_study(plan_file)) == 2  # the beginnings of efin and of joint
    key = next(key for key in plan_file.nodes if not plan_file.work[key].needs)
    held = plan_file.ledger.claim(key, session=plan_file.session)
    assert held is not None
    assert usable_workers(plan_file, survey_study(plan_file)) == 2


@pytest.mark.parametrize(("code", "kind"), [(0, ExitKind.FINISHED), (137, ExitKind.OUT_OF_MEMORY)])
def test_a_slurm_worker_that_ended_well_did_whatever_a_child_of_it_ran_out_of(
    plan_file: PlanFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, kind: ExitKind
) -> None:
    squeue = tmp_path / "bin" / "squeue"
    squeue.parent.mkdir()
    monkeypatch.setenv("PATH", str(squeue.parent), prepend=os.pathsep)
    scheduler = Slurm(plan_file, [sys.executable], SlurmFields())
    exits = []
    for state in ("RUNNING", "OUT_OF_MEMORY"):
        squeue.write_text(f"#!/bin/sh\necho '1_0|{state}|None'\n")
        squeue.chmod(0o755)
        snapshot = scheduler.snapshot()
        assert snapshot is not None
        exits += snapshot.exits
        (plan_file.folder / "logs" / "slurm-1_0.log").touch()
        (plan_file.folder / "logs" / "slurm-1_0.exit").write_text(str(code))
    assert [worker_exit.kind for worker_exit in exits] == [kind]
