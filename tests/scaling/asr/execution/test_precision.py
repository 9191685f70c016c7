"""bf16 is what autocast makes of fp32, however stored; a frozen encoder hears together what it hears one by one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_world import order, train_study, write_study

from scaling.asr.checkpoint import load
from scaling.asr.inputs.encoder_groups import GROUP_SAMPLES, EncoderGroups
from scaling.asr.inputs.encoder_output_cache import EncoderOutputCache
from scaling.asr.inputs.model_inputs import ModelInputs
from scaling.asr.resources import Sources, WorkerResources
from scaling.asr.train import read_step, take_step
from scaling.asr.use.export_folder import read_export
from scaling.asr.use.trained_recognizer import read_run
from scaling.ledger.plan_file import CacheLimits
from scaling.spec import Precision, StageNode
from scaling.speech.audio import Clip
from scaling.speech.batches import BatchStream, Position
from sweeps.finished.find_run import find_run
from sweeps.finished.transcribe_export import export

STAGES = ["encoder", "projector", "projector_lora"]


@pytest.fixture(scope="module")
def stages(world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[WorkerResources, dict[str, StageNode]]:
    """The stages of efin in bf16, none of them trained."""
    study = write_study(world, precision="bf16", strategies=["efin"])
    plan_file = order(study, tmp_path_factory.mktemp("bf16"))
    nodes = [plan_file.ledger.node(key) for key in plan_file.nodes]
    resources = WorkerResources(Sources(plan_file.sources), torch.device("cpu"), CacheLimits(memory_gib=1, disk_gib=0))
    return resources, {node.stage.name: node for node in nodes}


def stepped(
    resources: WorkerResources, node: StageNode, *, for_training: bool
) -> tuple[float, dict[str, torch.Tensor], set[torch.dtype]]:
    """Loss and gradients of a step, and the types of the model's weights."""
    model = resources.recognizer(node, {}, for_training=for_training)
    inputs = resources.model_inputs(node, model, node.data.train)
    trained = [p for part in model.set_trainable(node.stage.parts).values() for p in part]
    for parameter in trained:  # off its start, where many gradients are zero
        parameter.data += 0.01 * torch.sin(torch.arange(parameter.numel())).reshape(parameter.shape)
    step = read_step(inputs, np.arange(13), Position(0, 1), 0, 2)
    loss = take_step(inputs, step, node, torch.optim.SGD(trained, lr=0.0), trained)
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return loss, gradients, {p.dtype for p in model.parameters()}


@pytest.mark.parametrize("stage", STAGES)
def test_frozen_weights_stored_in_bf16_change_no_bit_of_a_step(stages, stage):
    resources, nodes = stages
    loss, gradients, dtypes = stepped(resources, nodes[stage], for_training=True)
    wanted_loss, wanted, all_fp32 = stepped(resources, nodes[stage], for_training=False)
    assert loss == wanted_loss
    assert gradients.keys() == wanted.keys()
    assert all(torch.equal(gradient, wanted[name]) for name, gradient in gradients.items())
    assert all(gradient.dtype is torch.float32 for gradient in gradients.values())
    assert all_fp32 == {torch.float32}
    assert (torch.bfloat16 in dtypes) == (stage != "encoder")  # nothing is frozen there but positions


@pytest.mark.parametrize("stage", STAGES)
def test_a_step_in_bf16_is_that_of_fp32_to_rounding_and_not_to_the_last_bit(stages, stage):
    resources, nodes = stages
    half, _, _ = stepped(resources, nodes[stage], for_training=True)
    full, _, _ = stepped(resources, replace(nodes[stage], precision=Precision.FP32), for_training=True)
    assert half == pytest.approx(full, rel=0.02)
    assert half != full


def test_a_run_in_bf16_is_tested_in_bf16_and_what_it_learnt_is_fp32(world, tmp_path, in_this_process):
    study = write_study(world, precision="bf16", strategies=["efin"], budgets_flops=[1e8])
    (row,) = train_study(study, tmp_path / "run")
    run = find_run(tmp_path / "run", None, "efin")
    trained, node = read_run(run.plan_file.ledger, run.plan_file.sources, run.node_key)
    assert trained.precision is node.precision is Precision.BF16
    lines = (tmp_path / "run" / "utterances" / f"{row['key']}.jsonl").read_text().splitlines()
    written = dict(trained.transcripts([Clip(path=world / "test" / f"{place}.wav") for place in range(len(lines))]))
    assert [f'"hyp": "{written[place]}"' in line for place, line in enumerate(lines)] == [True] * len(lines)
    folder = run.plan_file.ledger.folder(run.node_key)
    weights = load(folder / run.plan_file.ledger.result(run.node_key).checkpoint).weights
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    export(tmp_path / "run", tmp_path / "exported", None, "efin")
    exported = read_export(tmp_path / "exported")
    assert exported.precision is Precision.BF16
    assert {parameter.dtype for parameter in exported.model.parameters()} == {torch.float32}


def test_a_frozen_encoder_hears_a_padded_batch_as_it_hears_groups_and_single_utterances(stages):
    resources, nodes = stages
    node = replace(nodes["projector"], precision=Precision.FP32)
    model = resources.recognizer(node, {}).eval()
    speech = resources.dataset(node, node.data.train)
    indices = [5, 0, 17, 9, 30]
    assert len({*speech.samples[indices].tolist()}) > 1, "padding is a part of it"
    stream = BatchStream(speech.samples, 0, 1.0)
    grouped, alone = (EncoderGroups.of(speech.samples // 160, stream, most) for most in (GROUP_SAMPLES, 0))
    assert max(len(grouped.group_of(index)) for index in indices) > 1
    assert [alone.group_of(index) for index in indices] == [[index] for index in indices]
    heard = []
    for groups in (alone, grouped, None):
        kept = EncoderOutputCache(CacheLimits(memory_gib=1, disk_gib=0)).state("")
        inputs = ModelInputs(model, speech, groups=groups, cache=kept)
        inputs.batch(inputs.read(indices[:2]))  # the others are what is lacking
        heard.append(inputs.batch(inputs.read(indices)).encoded)
        assert all(index in kept for index in indices)
    (outputs, lengths), *others = heard
    for other_outputs, other_lengths in others:
        assert torch.equal(other_lengths, lengths)
        assert torch.allclose(other_outputs, outputs, atol=1e-5)
