import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_study import StudyWriter

from scaling.errors import InputError
from scaling.ledger.plan_file import SCHEMA, PlanFile
from sweeps.launchers.dispatch import refuse_unavailable
from sweeps.launchers.gpus import gpus, gpus_of
from sweeps.launchers.local_workers import _start, default_workers
from sweeps.launchers.options import Launcher
from sweeps.launchers.worker_process import process_starter
from sweeps.study.study import load_study


@pytest.fixture(autouse=True)
def _asked_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    gpus.cache_clear()
    yield
    gpus.cache_clear()


def machine_with(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    folder.mkdir(exist_ok=True)
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_each_worker_is_shown_a_gpus_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = "echo 'GPU 0: NVIDIA H100 (UUID: GPU-1)'; echo 'GPU 1: NVIDIA H100 (UUID: GPU-2)'"
    machine_with(tmp_path / "bin", monkeypatch, listing)
    assert default_workers(threads=1) == 2
    assert [gpus_of(slot)["CUDA_VISIBLE_DEVICES"] for slot in range(3)] == ["0", "1", "0"]
    assert default_workers(threads=1, processes=2) == 1
    assert [gpus_of(slot, 2)["CUDA_VISIBLE_DEVICES"] for slot in range(2)] == ["0,1", "0,1"]
    least = {"study": "s", "session": "s", "ledger": ".", "threads": 1, "checkpoint_seconds": 1.0, "tracker": "none"}
    plan_file = PlanFile(schema=SCHEMA, nodes=[], work={}, sources={}, runs=[], **least).placed_in(tmp_path)
    told = [sys.executable, "-c", "import os; print(os.environ['CUDA_VISIBLE_DEVICES'])"]
    with process_starter(told, {}, tmp_path / "log") as starter:
        for slot in (0, 1):
            assert _start(plan_file, starter, slot, "a").wait() == 0
    assert [(tmp_path / "logs" / f"worker-{slot}.log").read_text() for slot in (0, 1)] == ["0\n", "1\n"]


def test_a_user_s_own_choice_of_gpus_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine_with(tmp_path / "bin", monkeypatch, "echo 'GPU 0: x'; echo 'GPU 1: x'; echo 'GPU 2: x'")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-7")
    assert (default_workers(threads=1), gpus_of(1)) == (2, {"CUDA_VISIBLE_DEVICES": "GPU-7"})


@pytest.mark.parametrize("script", ["echo 'No devices were found'", "echo broken driver >&2; exit 9"])
def test_without_gpus_workers_are_counted_by_cores(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine_with(tmp_path / "bin", monkeypatch, script)
    assert gpus() == ()
    assert gpus_of(0) == {}
    assert default_workers(threads=1) == len(os.sched_getaffinity(0))


def test_more_processes_than_gpus_and_shares_for_nobody_are_refused(
    write_study: StudyWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine_with(tmp_path / "bin", monkeypatch, "echo 'GPU 0: x'; echo 'GPU 1: x'")
    with pytest.raises(InputError, match="processes 4: this machine has 2 GPUs"):
        refuse_unavailable(Launcher.LOCAL, load_study(str(write_study(processes=4))), detach=False)
    with pytest.raises(InputError, match="shard true: a single process cannot share the LLM"):
        refuse_unavailable(Launcher.LOCAL, load_study(str(write_study(shard=True))), detach=False)
    refuse_unavailable(Launcher.LOCAL, load_study(str(write_study(processes=2, shard=True))), detach=False)


def test_compiling_needs_a_compiler_here_and_not_where_jobs_are_sent_from(
    write_study: StudyWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    study = load_study(str(write_study(compile=True)))
    with pytest.raises(InputError, match="compile true: needs a C\\+\\+ compiler, and no-such-compiler is not there"):
        refuse_unavailable(Launcher.LOCAL, study, detach=False)
    monkeypatch.setattr("sweeps.launchers.dispatch.refuse_missing_slurm", lambda: None)
    refuse_unavailable(Launcher.SLURM, study, detach=False)
    refuse_unavailable(Launcher.LOCAL, load_study(str(write_study())), detach=False)
