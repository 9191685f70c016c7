"""Studies on a real Slurm of two nodes, as users start, stop and find them again: see slurm_cluster.py."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from local_run import run_locally
from processes import Launch, LauncherProcess, finished, leases, table, wait_until
from slurm_cluster import NODES, SlurmCluster, at, needs_slurm
from small_study import StudyWriter
from tiny_world import timeless, train_study, write_world
from tiny_world import write_study as write_tiny_study

from scaling.ledger.plan_file import read_plan_file
from sweeps.launchers.slurm import job_name, refuse_missing_slurm
from sweeps.progress.results_table import read_rows
from sweeps.progress.status import State, survey_study

pytestmark = needs_slurm


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
    assert len(slurm.jobs_of(out)) == 4


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
    assert {job.partition("_")[0] for job in slurm.jobs_of(out) if "_" in job} == {
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
    assert len(slurm.jobs_of(out)) == 2
    assert launch(study, out, 2).ended()[0] == 0
    assert len(table(out)) == 6
    assert len(slurm.jobs_of(out)) == 2


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


def test_without_slurm_the_message_says_so(
    write_study: StudyWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ValueError, match="--on slurm: no sbatch, squeue, scancel on this machine"):
        refuse_missing_slurm()
