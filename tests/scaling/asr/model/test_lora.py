"""Adapters and the weights they adapt, from stage to stage: nothing learnt is lost, nothing is added twice."""

import numpy as np
import pytest
import torch
from peft.tuners.lora import Linear
from tiny_world import NeverStop, order, write_study
from torch import nn

from scaling.asr.__main__ import work
from scaling.asr.checkpoint import load
from scaling.asr.execution.precision import autocast
from scaling.asr.inputs.model_inputs import ModelInputs
from scaling.asr.model.lora import LoraLinear, add_lora
from scaling.asr.resources import Sources, WorkerResources
from scaling.spec import LoraSpec, Part, Precision


def stage(name: str, objective: str, *trains: str) -> dict:
    return {"name": name, "objective": objective, "trains": list(trains), "share": 1 / 3}


def trained(world, tmp_path, *stages):
    """The resources, the nodes that end the stages, and their weights."""
    study = write_study(world, strategies=[{"name": "own", "stages": list(stages)}], cooldown=0.0)
    plan_file = order(study, tmp_path)
    assert work(plan_file.ledger, plan_file, NeverStop()) == 0
    nodes = [plan_file.ledger.node(key) for key in plan_file.nodes]
    assert all(plan_file.ledger.done(key) for key in plan_file.nodes)
    ends = [
        load(plan_file.ledger.folder(key) / plan_file.ledger.result(key).checkpoint).weights for key in plan_file.nodes
    ]
    return WorkerResources(Sources(plan_file.sources), torch.device("cpu")), nodes, ends


def test_an_encoder_trained_before_it_gets_adapters_keeps_what_it_learnt(world, tmp_path):
    resources, nodes, ends = trained(
        world,
        tmp_path,
        stage("encoder", "asr", "encoder", "asr_decoder"),
        stage("adapters", "llm", "encoder_lora", "projector"),
        stage("projector", "llm", "projector"),
    )
    model = resources.recognizer(nodes[1], ends[0])
    encoder = model.part_parameters(Part.ENCODER)
    assert encoder.keys() == {name.partition("/")[2] for name in ends[0] if name.startswith("encoder/")}
    for name, parameter in encoder.items():
        assert torch.equal(parameter, ends[0][f"encoder/{name}"]), name
    assert model.part_parameters(Part.ENCODER_LORA)


def test_adapters_merged_into_weights_that_train_are_not_merged_again(world, tmp_path):
    resources, nodes, ends = trained(
        world,
        tmp_path,
        stage("adapters", "llm", "projector", "llm_lora"),
        stage("whole", "llm", "llm"),
        stage("projector", "llm", "projector"),
    )
    assert {name.partition("/")[0] for name in ends[1]} == {"projector", "llm"}
    model = resources.recognizer(nodes[2], ends[1])
    for name, parameter in model.part_parameters(Part.LLM).items():
        assert torch.equal(parameter, ends[1][f"llm/{name}"]), name


def test_merged_adapters_compute_what_they_computed_beside_the_weights(world, tmp_path):
    resources, nodes, ends = trained(
        world,
        tmp_path,
        stage("projector", "llm", "projector"),
        stage("adapters", "llm", "projector", "llm_lora", "encoder_lora"),
        stage("again", "llm", "projector"),
    )
    beside = resources.recognizer(nodes[1], ends[1]).eval()
    merged = resources.recognizer(nodes[2], ends[1]).eval()
    assert not merged.part_parameters(Part.LLM_LORA)
    both_inputs = [ModelInputs(model, resources.dataset(nodes[1], nodes[1].data.dev)) for model in (beside, merged)]
    with torch.no_grad():
        losses = [
            inputs.model.loss(inputs.batch(inputs.read(np.arange(4))), nodes[1].stage.objective)
            for inputs in both_inputs
        ]
    assert torch.isclose(losses[0][0], losses[1][0], rtol=1e-5)
    assert not torch.equal(
        resources.recognizer(nodes[0], {}).llm.state_dict()["model.layers.0.mlp.up_proj.weight"],
        merged.llm.state_dict()["model.layers.0.mlp.up_proj.weight"],
    )


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize(("alpha", "tolerance"), [(16.0, 0.0), (12.0, 1e-2)])
def test_an_adapted_layer_gives_what_pefts_gives(precision: Precision, alpha: float, tolerance: float):
    torch.manual_seed(0)
    host = nn.ModuleDict({"layer": nn.Linear(24, 40)})
    add_lora(host, LoraSpec(rank=8, alpha=alpha, targets=("layer",)))
    layer = host["layer"]
    assert type(layer) is LoraLinear
    nn.init.normal_(layer.lora_B["default"].weight)
    x = torch.randn(3, 5, 24)
    found = []
    for forward in (LoraLinear.forward, Linear.forward):
        layer.zero_grad()
        heard = x.clone().requires_grad_()
        with autocast(precision, x.device):
            y = forward(layer, heard)
        y.float().square().sum().backward()
        found.append((y.detach(), heard.grad, *(p.grad for name, p in layer.named_parameters() if "lora_" in name)))
    for ours, theirs in zip(*found, strict=True):
        assert ours.dtype == theirs.dtype
        assert float((ours - theirs).abs().max()) <= tolerance * float(theirs.abs().max())
