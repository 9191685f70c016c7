"""The real trainer when the machine is short of something: disk, memory, permission, time."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from memory_group import inside, kills, memory_group
from tiny_world import (
    NeverStop,
    order,
    timeless,
    train_study,
    trains,
    write_models,
    write_speech,
    write_study,
    write_world,
)

from scaling.asr import worker
from scaling.asr.__main__ import work
from scaling.asr.execution.device_memory import OutOfMemory
from scaling.asr.pretraining.mini_models import EncoderSize
from scaling.ledger.ledger import Ledger
from scaling.system.container_memory import ControlGroup
from sweeps.costs.exact_costs import exact_costs
from sweeps.plan.prepare import prepare
from sweeps.progress.results_table import Collector, read_rows

COMMAND = [sys.executable, "-c", "from scaling.cli import main; main()"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own of 8 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("cannot mount a small disk here: needs root")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def start(study: Path, out: Path, within: ControlGroup | None = None) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [*COMMAND, "run", str(study), "--out", str(out), "--workers", "1"]
    command = command if within is None else inside(within, command)
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


def wait_until(reached: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def fill(filler: Path) -> None:
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


@pytest.mark.slow
def test_a_full_disk_pauses_a_sweep_whose_heart_goes_on_beating_and_space_lets_it_finish(world, small_disk, tmp_path):
    study = write_study(world, strategies=["joint"], budgets_flops=[3e8], checkpoint_seconds=0.2)
    truth = [timeless(row) for row in train_study(study, tmp_path / "plain")]
    out = small_disk / "out"
    filler = small_disk / "filler"
    sweep = start(study, out)
    wait_until(lambda: any(out.glob("stages/*/attempts/*/events.jsonl")))
    fill(filler)
    log = out / "logs" / "worker-0.log"
    (heart,) = out.glob("stages/*/attempts/*/heartbeat")
    before = heart.stat().st_mtime
    wait_until(lambda: heart.stat().st_mtime > before + 1)
    time.sleep(4.0)
    assert sweep.poll() is None, log.read_text()
    assert len(list(out.glob("stages/*/attempts/*"))) <= 2  # no attempt was lost to it but perhaps the next one
    filler.unlink()
    assert sweep.wait(200) == 0, log.read_text()
    assert [timeless(row) for row in read_rows(out)] == truth


def test_a_read_only_folder_is_named_before_anything_is_trained(world, small_disk):
    study = write_study(world, strategies=["joint"])
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    arguments = ["run", str(study), "--out", str(small_disk / "out")]
    run = subprocess.run([*COMMAND, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1].endswith("cannot be written (Read-only file system)")


def test_sigterm_saves_a_checkpoint_within_seconds_and_leaves_nothing_running(world, tmp_path):
    study = write_study(world, strategies=["joint"], budgets_flops=[1e11], checkpoint_seconds=3600.0)
    out = tmp_path / "out"
    sweep = start(study, out)
    wait_until(lambda: trains(out))
    assert not list(out.glob("stages/*/attempts/*/checkpoint-*"))
    began = time.monotonic()
    sweep.send_signal(signal.SIGTERM)
    assert sweep.wait(30) == 128 + signal.SIGTERM
    assert time.monotonic() - began < 10
    assert len(list(out.glob("stages/*/attempts/0001/checkpoint-*/progress.json"))) == 1
    assert len(list(out.glob("stages/*/attempts/0001/released.json"))) == 1


@pytest.fixture
def first_try_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches do not fit into this process's memory, not even in two micro-batches."""
    real = worker.run_node

    def run_node(*arguments, micro_batches):
        if micro_batches <= 2:
            raise OutOfMemory("large micro-batches")
        return real(*arguments, micro_batches=micro_batches)

    monkeypatch.setattr(worker, "run_node", run_node)


def test_a_node_out_of_memory_ends_in_smaller_pieces_in_a_process_of_its_own_as_the_same_experiment(
    world, tmp_path, first_try_too_large, monkeypatch
):
    """In twice as many as the study asks for."""
    fields = {"strategies": ["projector_only"], "budgets_flops": [4e7], "cooldown": 0.0}
    study, smaller = (write_study(world, **fields, gradient_accumulation=micro_batches) for micro_batches in (2, 4))
    out = tmp_path / "out"
    plan_file = order(study, out)
    monkeypatch.setattr(sys, "argv", ["worker", "--ledger", str(out), "--plan", str(plan_file.path)])
    assert work(plan_file.ledger, plan_file, NeverStop()) == 0
    (key,) = plan_file.nodes
    first, second = plan_file.ledger.attempts(key)
    assert first.failure().kind == "memory"
    assert first.failure().cause.startswith("out of memory, each batch in 2 micro-batches")
    assert second.lease().pid != os.getpid()
    (row,) = [row.as_json() for row in Collector(plan_file).collect()]
    monkeypatch.undo()
    (whole,) = train_study(write_study(world, **fields), tmp_path / "whole")
    assert (row["key"], row["flops"]) == (whole["key"], whole["flops"])
    (cost,) = exact_costs(prepare(str(smaller), [], None))[row["key"]]
    assert row["executed_flops"] == cost.executed_flops < whole["executed_flops"]
    assert row["stages"][0]["loss"] == pytest.approx(whole["stages"][0]["loss"], rel=1e-3)


@pytest.fixture
def great_world(tmp_path: Path) -> Path:
    """Where a batch of all training speech keeps a gigabyte for its backward pass."""
    folder = tmp_path / "great"
    write_models(folder, EncoderSize(name="deep", width=64, encoder_layers=6, decoder_layers=1, heads=2))
    for name, utterances, digits in (("train", 40, (250, 250)), ("dev", 4, (1, 5)), ("test", 4, (1, 5))):
        write_speech(folder, name, utterances, 0, digits)
    return folder


@pytest.mark.slow
def test_a_worker_that_the_kernel_kills_for_memory_goes_on_in_smaller_pieces_as_the_same_experiment(
    great_world, tmp_path
):
    """A step on the whole batch takes 1.3 GB, on a quarter 0.7; launcher and waiting worker take a third of one."""
    study = write_study(
        great_world, strategies=["joint"], budgets_flops=[1e11], cooldown=0.0, batch_audio_seconds=800.0
    )
    whole, pieced = tmp_path / "whole", tmp_path / "pieced"
    assert start(study, whole).wait() == 0
    with memory_group(1150 * 2**20) as group:
        assert start(study, pieced, within=group).wait() == 0
        assert kills(group) >= 1
    (plain,), (row,) = ([row.as_json() for row in read_rows(out)] for out in (whole, pieced))
    first = Ledger(pieced).attempts(row["stages"][0]["node"])[0]
    assert first.failure().cause == "its process was killed by the kernel: out of memory"
    assert (row["key"], row["flops"]) == (plain["key"], plain["flops"])
    assert row["stages"][0]["loss"] == pytest.approx(plain["stages"][0]["loss"], rel=1e-3)


@pytest.mark.slow
def test_a_node_too_large_in_the_smallest_pieces_fails_with_its_cause(
    world, tmp_path, first_try_too_large, monkeypatch
):
    study = write_study(
        world, strategies=["projector_only"], budgets_flops=[1e8], cooldown=0.0, batch_audio_seconds=0.4
    )
    out = tmp_path / "out"
    plan_file = order(study, out)
    monkeypatch.setattr(sys, "argv", ["worker", "--ledger", str(out), "--plan", str(plan_file.path)])
    monkeypatch.setenv("ASR_SCALING_DIES_AT_WRITE", "1 events.jsonl")  # every process of its own is killed
    assert work(plan_file.ledger, plan_file, NeverStop()) == 0  # and its worker lives
    attempts = Ledger(out).attempts(plan_file.nodes[0])
    kinds = [attempt.failure().kind for attempt in attempts]
    assert kinds == ["memory"] * (len(kinds) - 1) + ["error"]
    assert 3 <= len(kinds) <= 5
    assert attempts[-1].failure().cause.startswith("out of memory, even one utterance at a time: killed by SIGKILL")
