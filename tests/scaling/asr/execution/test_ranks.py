"""Several processes that train together, started by the real torchrun, against one process with the same batches."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flop_reference import counter
from processes import leases, parent_of, wait_until
from safetensors.torch import load_file
from tiny_world import NeverStop, order, trains, write_study
from torch.nn.attention import SDPBackend, sdpa_kernel

import scaling.asr.train
from scaling.asr.__main__ import work
from scaling.asr.execution.ranks import Ranks
from scaling.asr.inputs.model_inputs import ModelInputs
from scaling.asr.resources import Sources, WorkerResources
from scaling.asr.train import read_step
from scaling.cost.flops import executed_batches
from scaling.ledger.events import read_events
from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import PlanFile
from scaling.speech.batches import Position
from sweeps.costs.exact_costs import exact_costs
from sweeps.plan.prepare import prepare

WORKER = Path(__file__).with_name("curve_worker.py")
RATES = {"encoder": 1e-3, "projector": 1e-3, "llm": 1e-3}
STUDY: dict[str, Any] = {
    "strategies": [
        "efin",
        "joint",
        {"name": "whole", "stages": [{"name": "all", "objective": "llm", "trains": RATES, "share": 1.0}]},
    ],
    "budgets_flops": [8e7],
    "batch_audio_seconds": 2.0,
}
SHARD = ("--shard",)
THRIFTY = {"gradient_accumulation": 2, "gradient_checkpointing": True}
NEEDS_COMPILER = pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
TORCHRUN = ["-m", "scaling.asr.execution.torchrun", "--standalone"]
PATIENCE_SECONDS = 600

Curve = list[tuple[int, int, float]]
"""TrainingStep, FLOPs charged, loss."""


def together(plan_file: PlanFile, processes: int, *options: str) -> int:
    """Work through the plan with so many processes; the exit code."""
    start = [*TORCHRUN, f"--nproc-per-node={processes}"] if processes > 1 else []
    where = ["--ledger", str(plan_file.ledger.root), "--plan", str(plan_file.path)]
    ended = subprocess.run(
        [sys.executable, *start, str(WORKER), *where, *options],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    sys.stderr.write(ended.stderr)  # shown where the test fails
    return ended.returncode


def trained(study: Path, out: Path, processes: int, *options: str) -> PlanFile:
    plan_file = order(study, out)
    assert together(plan_file, processes, *options) == 0
    return plan_file


def curve(plan_file: PlanFile, key: str) -> Curve:
    """Every step's, whichever attempt took it; what a later attempt took again counts."""
    events = (event for attempt in plan_file.ledger.attempts(key) for event in read_events(attempt.events))
    steps = {e.steps: (e.steps, e.flops, e.loss) for e in events if e.event == "progress"}
    return [steps[number] for number in sorted(steps)]


def assert_same_curves(one: PlanFile, other: PlanFile) -> None:
    """Every step's FLOPs exactly, its loss to rounding, and scores as they are."""
    for key in one.nodes:
        expected, found = curve(one, key), curve(other, key)
        assert [row[:2] for row in found] == [row[:2] for row in expected]
        assert [row[2] for row in found] == pytest.approx([row[2] for row in expected], rel=1e-5)
        results = one.ledger.result(key), other.ledger.result(key)
        for field in ("flops", "steps", "audio_seconds", "unique_audio_seconds", "test"):
            assert getattr(results[0], field) == getattr(results[1], field)


@pytest.fixture(scope="module")
def alone(world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PlanFile]:
    """The study, and what one process makes of it: this one, which logs every step as `curve_worker.py` does."""
    study = write_study(world, **STUDY)
    plan_file = order(study, tmp_path_factory.mktemp("alone"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scaling.asr.train, "LOG_SECONDS", 0.0)
        assert work(plan_file.ledger, plan_file, NeverStop()) == 0
    return study, plan_file


@pytest.mark.parametrize(
    ("processes", "options", "fields"),
    [
        (2, (), THRIFTY),
        pytest.param(2, (), {}, marks=pytest.mark.slow),
        pytest.param(4, (), {}, marks=pytest.mark.slow),
        pytest.param(4, SHARD, {}, marks=pytest.mark.slow),
        pytest.param(2, SHARD, THRIFTY, marks=pytest.mark.slow),
        pytest.param(2, SHARD, THRIFTY | {"compile": True}, marks=[pytest.mark.slow, NEEDS_COMPILER]),
        pytest.param(1, (), THRIFTY, marks=pytest.mark.slow),
    ],
)
def test_several_processes_have_the_loss_curve_of_one(world, alone, tmp_path, processes, options, fields):
    """Each with the whole LLM, or with a share of it: behind a projector alone, with adapters, and trained as it is.

    And with its part of a batch in pieces, and layers recomputed: as many FLOPs as the exact plan says.
    """
    study = write_study(world, **STUDY, **fields, processes=processes)
    plan_file = trained(study, tmp_path, processes, *options)
    assert sum(len(curve(plan_file, key)) for key in plan_file.nodes) > 20
    assert_same_curves(alone[1], plan_file)
    results = [plan_file.ledger.result(key) for key in plan_file.nodes]
    assert {result.provenance["processes"] for result in results} == {processes}
    for field in ("gradient_checkpointing", "compile"):
        assert {result.provenance[field] for result in results} == {fields.get(field, False)}
    exact = exact_costs(prepare(str(study), [], Ledger(tmp_path)))
    for run in plan_file.runs:
        for stage, cost in zip(run.stages, exact[run.key], strict=True):
            assert plan_file.ledger.result(stage.node).executed_flops == cost.executed_flops


@pytest.mark.slow
def test_in_bf16_every_way_to_save_memory_at_once_moves_the_curve_by_its_rounding_alone(world, tmp_path):
    one = trained(write_study(world, **STUDY, precision="bf16"), tmp_path / "one", 1)
    two = trained(write_study(world, **STUDY, **THRIFTY, processes=2, precision="bf16"), tmp_path / "two", 2, *SHARD)
    for key in one.nodes:
        expected, found = curve(one, key), curve(two, key)
        assert [row[:2] for row in found] == [row[:2] for row in expected]
        assert [row[2] for row in found] == pytest.approx([row[2] for row in expected], rel=1e-2)
        assert one.ledger.result(key).flops == two.ledger.result(key).flops


@pytest.mark.slow
def test_a_node_goes_on_with_another_number_of_processes(alone, tmp_path):
    """2, then 4 with shares of the LLM, then 1: each leaves after a few steps, with a checkpoint."""
    study, plain = alone
    plan_file = order(study, tmp_path)
    for processes, options, files in ((2, (), 1), (4, SHARD, 4)):
        together(plan_file, processes, "--leave-after", "14", *options)
        assert not all(plan_file.ledger.done(key) for key in plan_file.nodes)
        newest = max(tmp_path.glob("stages/*/attempts/*/*/progress.json"), key=lambda path: path.stat().st_mtime).parent
        tensors = [len(load_file(file)) for file in newest.glob("weights*.safetensors")]
        assert len(tensors) == files
        assert max(tensors) - min(tensors) <= 1
    assert together(plan_file, 1) == 0
    assert any(len(plan_file.ledger.attempts(key)) > 1 for key in plan_file.nodes)
    assert_same_curves(plain, plan_file)


@pytest.mark.slow
def test_a_process_that_is_killed_ends_the_others_and_costs_nothing_but_time(alone, tmp_path):
    study, plain = alone
    plan_file = order(study, tmp_path)
    assert together(plan_file, 2, "--last-rank-dies-after", "7") not in (0, None)
    unfinished = [key for key in plan_file.nodes if plan_file.ledger.attempts(key) and not plan_file.ledger.done(key)]
    assert len(unfinished) == 1
    (attempt,) = plan_file.ledger.attempts(unfinished[0])
    assert attempt.over()  # nobody is left that holds it
    assert attempt.failure() is None  # and its launcher, which saw the death, is the one to judge it
    assert together(plan_file, 2) == 0
    assert_same_curves(plain, plan_file)


@pytest.mark.parametrize(("utterances", "size", "pieces"), [(13, 2, 2), (13, 4, 1), (5, 4, 3), (1, 3, 1)])
def test_what_all_ranks_execute_is_what_is_counted(alone, utterances, size, pieces):
    """Each rank's passes, watched by torch's counter; some ranks repeat an utterance for nothing."""
    plan_file = alone[1]
    nodes = [plan_file.ledger.node(key) for key in plan_file.nodes]
    node = next(node for node in nodes if node.stage.name == "joint")
    resources = WorkerResources(Sources(plan_file.sources), torch.device("cpu"))
    inputs = ModelInputs(resources.recognizer(node, {}), resources.dataset(node, node.data.train))
    inputs.model.set_trainable(node.stage.parts)
    indices = np.argsort(inputs.dataset.samples[:utterances], kind="stable")
    steps = [read_step(inputs, indices, Position(0, 1), 0, pieces, Ranks(rank, size)) for rank in range(size)]
    watched = 0
    for piece in (piece for step in steps for piece in step.own):
        with sdpa_kernel(SDPBackend.MATH), counter() as watch:  # the counter misses fused attention
            loss, _ = inputs.model.loss(inputs.batch(piece), node.stage.objective)
            loss.backward()
        watched += watch.get_total_flops()
    whole = steps[0]
    counted = executed_batches(
        resources.model_shape(node), node.stage, inputs.dataset.lengths, whole.micro_batches.pieces
    )
    assert watched == counted.sum()
    assert len({len(step.own) for step in steps}) == 1
    real = whole.micro_batches.pieces[: len(whole.micro_batches.pieces) - whole.micro_batches.idle]
    assert sorted(np.concatenate(real)) == sorted(indices)
    assert sum(step.last_is_idle for step in steps) == whole.micro_batches.idle


ENDING = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
print("rank", os.environ["RANK"], flush=True)
if os.environ["RANK"] == "1":
    exec(sys.argv[1])
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("last_rank", "code"),
    [
        ("print('error: no such manifest', file=sys.stderr); sys.exit(2)", 2),
        ("os.kill(os.getpid(), signal.SIGKILL)", 128 + signal.SIGKILL),
        ("os.kill(os.getppid(), signal.SIGTERM)", 128 + signal.SIGTERM),
    ],
    ids=["mistake", "killed", "asked to leave"],
)
def test_several_processes_end_with_the_exit_code_of_one(tmp_path, last_rank, code):
    program = tmp_path / "ending.py"
    program.write_text(ENDING)
    command = [sys.executable, *TORCHRUN, "--nproc-per-node=2", str(program), last_rank]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert ended.returncode == code, ended.stderr
    said = "error: no such manifest\n" if code == 2 else ""
    assert ended.stderr == said  # torchrun's own report would hide it from the launcher


def test_ranks_share_everything_once_and_short_and_long_alike() -> None:
    assert [Ranks(rank, 3).share(range(7)) for rank in range(3)] == [[0, 3, 6], [1, 4], [2, 5]]
    assert Ranks(1, 3, shard=True).share(range(7)) == list(range(7))


@pytest.mark.slow
def test_a_worker_of_two_processes_that_is_asked_to_leave_saves_a_checkpoint_and_goes_on(world, tmp_path):
    """Asked as torchrun, whom a scheduler knows; started again by a launcher that was not asked."""
    study = write_study(world, strategies=["joint"], budgets_flops=[1e9], cooldown=0.0, checkpoint_seconds=3600.0)
    command = [str(Path(sys.executable).with_name("asr-scaling")), "run", str(study), "--out", str(tmp_path)]
    with subprocess.Popen([*command, "--set", "processes=2", "--workers", "1"], stderr=subprocess.PIPE) as sweep:
        wait_until(lambda: trains(tmp_path), PATIENCE_SECONDS)
        (lease,) = leases(tmp_path)
        os.kill(parent_of(lease["pid"]), signal.SIGTERM)
        said = sweep.communicate(timeout=PATIENCE_SECONDS)[1].decode()
    assert sweep.returncode == 0, said
    assert "worker 0 was asked to leave; starting it again" in said
    assert "died" not in said
    (left,) = tmp_path.glob("stages/*/attempts/0001")
    assert list(left.glob("checkpoint-*/progress.json"))
    assert [event.event for event in read_events(left / "events.jsonl")][-1] == "left"
    assert not (left / "failure.json").exists()


@pytest.mark.slow
def test_a_study_says_how_many_processes_a_worker_has(alone, tmp_path):
    """The whole way, from the field of the study to its table."""
    command = [str(Path(sys.executable).with_name("asr-scaling")), "run", str(alone[0]), "--out", str(tmp_path)]
    several = ["--set", "processes=2", "--set", "shard=true", "--workers", "1"]
    subprocess.run([*command, *several], check=True, capture_output=True, timeout=PATIENCE_SECONDS)
    for key in alone[1].nodes:
        one, other = alone[1].ledger.result(key), Ledger(tmp_path).result(key)
        assert (other.flops, other.test) == (one.flops, one.test)
        assert other.loss == pytest.approx(one.loss, rel=1e-5)
        assert other.provenance["processes"] == 2
