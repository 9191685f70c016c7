"""Gradient checkpointing of a recogniser: the same gradients, bit for bit, and nothing else is changed by it."""

import gc
import weakref
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from _pytest.mark import ParameterSet
from encoder_reference import MINI_ENCODERS
from flop_reference import MINI_LLM, PRESET_STAGES
from recognizers import gradients, noise, prepared
from torch import Tensor, nn

from scaling.asr.execution import layer_modes
from scaling.asr.execution.layer_modes import checkpoint_layers
from scaling.asr.execution.precision import round_frozen_weights
from scaling.asr.model import greedy
from scaling.asr.model.llm_decoder import LlmDecoder
from scaling.spec import Objective, Part, Precision


def assert_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    assert any(gradient.any() for gradient in one.values())
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def stages_and_precisions() -> list[ParameterSet]:
    """Every day both precisions, each for every other stage: what trains and how it is rounded do not depend on each
    other.
    """
    return [
        pytest.param(training, precision, id=f"{'+'.join(sorted(training.parts))}-{precision}",
                     marks=[] if number == place % 2 else pytest.mark.slow)
        for place, training in enumerate(PRESET_STAGES)
        for number, precision in enumerate(Precision)
    ]  # fmt: skip


@pytest.mark.parametrize(("training", "precision"), stages_and_precisions())
@pytest.mark.parametrize("encoder", MINI_ENCODERS, ids=lambda dims: dims.name)
def test_gradients_are_those_of_layers_that_are_kept(encoder, training, precision):
    found = []
    for model in (prepared(encoder, training), checkpoint_layers(prepared(encoder, training))):
        if precision is Precision.BF16:
            round_frozen_weights(model)
        found.append(gradients(model, noise(encoder), training.objective, precision))
    assert_equal(*found)


def test_dropout_falls_on_the_same_places_the_second_time():
    encoder = MINI_ENCODERS[0]
    found = []
    for again in (False, True):
        model = prepared(encoder)
        for layer in model.llm.get_decoder().layers:
            layer.mlp.act_fn = nn.Sequential(layer.mlp.act_fn, nn.Dropout(0.5))
        found.append(gradients(checkpoint_layers(model) if again else model, noise(encoder), Objective.LLM))
    assert_equal(*found)
    without = gradients(prepared(encoder), noise(encoder), Objective.LLM)
    assert not all(torch.equal(without[name], gradient) for name, gradient in found[0].items())


def test_parameters_keep_their_names_and_adapters_are_merged_as_ever():
    plain, again = prepared(MINI_ENCODERS[0]), checkpoint_layers(prepared(MINI_ENCODERS[0]))
    for part in Part:
        assert list(plain.part_parameters(part)) == list(again.part_parameters(part))
    for model in (plain, again):
        model.merge_adapters(Part.LLM_LORA)
    assert list(plain.state_dict()) == list(again.state_dict())


@pytest.fixture
def recomputed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The layers that were asked to run again."""
    real, found = layer_modes.checkpoint, []

    def counting(forward, *inputs, **options):
        found.append(type(forward.__self__).__name__)
        return real(forward, *inputs, **options)

    monkeypatch.setattr(layer_modes, "checkpoint", counting)
    return found


def test_without_a_gradient_nothing_is_recomputed(recomputed):
    for encoder in MINI_ENCODERS:
        model = checkpoint_layers(prepared(encoder))
        with torch.no_grad():
            heard = replace(noise(encoder), encoded=model.encode(noise(encoder)))
            greedy.decode(LlmDecoder(model, model.prompts(heard)), [3] * len(heard.frames_B), end=1)
        assert recomputed == []
        model.loss(heard, Objective.LLM)
        assert recomputed == ["Qwen2DecoderLayer"] * MINI_LLM.layers
        recomputed.clear()
        model.loss(noise(encoder), Objective.ASR)
        assert len(recomputed) == encoder.layers + getattr(encoder, "decoder_layers", 0)
        recomputed.clear()


def test_a_model_goes_with_its_last_user():
    """The next one is loaded into the room that it leaves, not after the next collection of garbage."""
    gc.collect()
    gc.disable()
    try:
        model = checkpoint_layers(prepared(MINI_ENCODERS[0]))
        gradients(model, noise(MINI_ENCODERS[0]), Objective.LLM)
        layer = weakref.ref(model.llm.get_decoder().layers[0])
        del model
        assert layer() is None
    finally:
        gc.enable()
