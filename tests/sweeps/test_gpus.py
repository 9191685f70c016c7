import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scaling.ledger import Ledger
from sweeps.launchers.gpus import gpu_of, gpus
from sweeps.launchers.local import _spawn, default_workers
from sweeps.orders import Orders


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


def test_each_worker_is_shown_a_gpu_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = "echo 'GPU 0: NVIDIA H100 (UUID: GPU-1)'; echo 'GPU 1: NVIDIA H100 (UUID: GPU-2)'"
    machine_with(tmp_path / "bin", monkeypatch, listing)
    assert default_workers(threads=1) == 2
    assert [gpu_of(slot)["CUDA_VISIBLE_DEVICES"] for slot in range(3)] == ["0", "1", "0"]
    orders = Orders(tmp_path, Ledger(tmp_path), {"threads": 1})
    told = [sys.executable, "-c", "import os; print(os.environ['CUDA_VISIBLE_DEVICES'])"]
    for slot in (0, 1):
        assert _spawn(orders, told, slot).wait() == 0
    assert [(tmp_path / "logs" / f"worker-{slot}.log").read_text() for slot in (0, 1)] == ["0\n", "1\n"]


def test_a_user_s_own_choice_of_gpus_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine_with(tmp_path / "bin", monkeypatch, "echo 'GPU 0: x'; echo 'GPU 1: x'; echo 'GPU 2: x'")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-7")
    assert (default_workers(threads=1), gpu_of(1)) == (2, {"CUDA_VISIBLE_DEVICES": "GPU-7"})


@pytest.mark.parametrize("script", ["echo 'No devices were found'", "echo broken driver >&2; exit 9"])
def test_without_gpus_workers_are_counted_by_cores(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine_with(tmp_path / "bin", monkeypatch, script)
    assert gpus() == ()
    assert gpu_of(0) == {}
    assert default_workers(threads=1) == len(os.sched_getaffinity(0))
