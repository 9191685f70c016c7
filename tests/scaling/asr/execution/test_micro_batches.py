"""A step in pieces is the same step; running out of memory is said, and holds on to nothing."""

import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_world import order, write_study

import scaling.asr.node
from scaling.asr.execution.device_memory import OutOfMemory, out_of_memory_named
from scaling.asr.inputs.model_inputs import ModelInputs
from scaling.asr.node import run_node
from scaling.asr.resources import Sources, WorkerResources
from scaling.asr.train import TrainingStep, read_step, take_step
from scaling.ledger.ledger import Ledger
from scaling.ledger.records import NodeResult
from scaling.spec import StageNode
from scaling.speech.batches import Position

STAGES = ["encoder", "projector", "projector_lora"]
Gradients = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def stages(world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[WorkerResources, dict[str, StageNode]]:
    """The stages of efin, none of them trained, with no bound on the gradient: its length shows too."""
    plan_file = order(write_study(world, strategies=["efin"]), tmp_path_factory.mktemp("pieces"))
    nodes = [plan_file.ledger.node(key) for key in plan_file.nodes]
    free = [
        replace(node, stage=replace(node.stage, optimization=replace(node.stage.optimization, clip_norm=1e9)))
        for node in nodes
    ]
    return WorkerResources(Sources(plan_file.sources), torch.device("cpu")), {node.stage.name: node for node in free}


def prepared(resources: WorkerResources, node: StageNode) -> tuple[ModelInputs, list[torch.nn.Parameter]]:
    """The model with every weight that trains a little off its start, where many gradients are zero."""
    inputs = ModelInputs(resources.recognizer(node, {}), resources.dataset(node, node.data.train))
    trained = [p for part in inputs.model.set_trainable(node.stage.parts).values() for p in part]
    for parameter in trained:
        parameter.data += 0.01 * torch.sin(torch.arange(parameter.numel())).reshape(parameter.shape)
    return inputs, trained


def cut(inputs: ModelInputs, pieces: int) -> TrainingStep:
    """Thirteen utterances of one to five digits, short to long, in pieces."""
    indices = np.argsort(inputs.dataset.samples[:13], kind="stable")
    return read_step(inputs, indices, Position(0, 1), 0, pieces)


def stepped(resources: WorkerResources, node: StageNode, pieces: int) -> tuple[Gradients, float]:
    """Gradients of a trainer's step, and its loss."""
    inputs, trained = prepared(resources, node)
    loss = take_step(inputs, cut(inputs, pieces), node, torch.optim.SGD(trained, lr=0.0), trained)
    return {name: p.grad for name, p in inputs.model.named_parameters() if p.grad is not None}, loss


def same(one: Gradients, other: Gradients) -> bool:
    return one.keys() == other.keys() and all(
        torch.allclose(gradient, other[name], rtol=1e-3, atol=1e-5 * float(gradient.abs().max()))
        for name, gradient in one.items()
    )


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("pieces", [4, 13])
def test_a_step_in_pieces_has_the_gradient_and_the_loss_of_the_whole(stages, stage, pieces):
    resources, nodes = stages
    (whole, loss), (pieced, pieced_loss) = (stepped(resources, nodes[stage], count) for count in (1, pieces))
    assert whole
    assert same(whole, pieced)
    assert pieced_loss == pytest.approx(loss, rel=1e-5)


def test_the_mean_of_the_pieces_means_is_another_gradient(stages):
    """What the test above must catch: pieces hold unequal numbers of target tokens."""
    resources, nodes = stages
    node = nodes["encoder"]
    whole, _ = stepped(resources, node, 1)
    inputs, _ = prepared(resources, node)
    for piece in cut(inputs, 4).own:
        loss_sum, tokens = inputs.model.loss(inputs.batch(piece), node.stage.objective)
        (loss_sum / tokens / 4).backward()
    assert not same(whole, {name: p.grad for name, p in inputs.model.named_parameters() if p.grad is not None})


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 80 bytes"),
        MemoryError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_runs_out_of_memory_is_named_and_lets_go_of_its_tensors(error):
    held: list[weakref.ref[torch.Tensor]] = []

    def greedy() -> None:
        tensor = torch.zeros(3)
        held.append(weakref.ref(tensor))
        raise type(error)(*error.args)

    with pytest.raises(OutOfMemory, match=r"training x ran out of memory: \S+"), out_of_memory_named("training x"):
        greedy()
    assert held[0]() is None


def test_other_errors_pass_as_they_are():
    with pytest.raises(RuntimeError, match="shapes"), out_of_memory_named("training x"):
        raise RuntimeError("shapes do not match")


def test_a_real_allocation_that_fails_is_out_of_memory():
    with pytest.raises(OutOfMemory), out_of_memory_named("training x"):
        torch.empty(1 << 60)


def test_a_node_goes_on_in_pieces_after_it_ran_out_of_memory(world, tmp_path, monkeypatch):
    """Half of the steps whole, half in pieces: the same FLOPs charged, fewer executed, nearly the same weights."""
    plan_file = order(write_study(world, strategies=["joint"], batch_audio_seconds=2.0), tmp_path / "pieced")
    plain = order(write_study(world, strategies=["joint"], batch_audio_seconds=2.0), tmp_path / "plain")
    key = plan_file.nodes[0]
    whole = run(plain.ledger, key, lambda: WorkerResources(Sources(plain.sources), torch.device("cpu")), 1)
    resources = WorkerResources(Sources(plan_file.sources), torch.device("cpu"))
    taken = scaling.asr.train.take_step
    steps = 0

    def fails_at_the_fifth(inputs, step, *others):
        nonlocal steps
        steps += 1
        if steps == 5 and len(step.own) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return taken(inputs, step, *others)

    monkeypatch.setattr(scaling.asr.train, "take_step", fails_at_the_fifth)
    with pytest.raises(OutOfMemory, match=r"training encoder \+ llm \(stage 'joint'\) ran out of memory"):
        run(plan_file.ledger, key, lambda: resources, 1)
    pieced = run(plan_file.ledger, key, lambda: resources, 4)
    assert (pieced.flops, pieced.steps) == (whole.flops, whole.steps)
    assert pieced.flops < pieced.executed_flops < whole.executed_flops
    assert pieced.loss == pytest.approx(whole.loss, rel=1e-3)


def run(ledger: Ledger, key: str, resources: Callable[[], WorkerResources], pieces: int) -> NodeResult:
    attempt = ledger.claim(key, session="test")
    assert attempt is not None
    try:
        result = run_node(ledger.node(key), attempt, resources(), 60.0, lambda: False, micro_batches=pieces)
        attempt.commit(result)
    finally:
        attempt.release()
    return result
