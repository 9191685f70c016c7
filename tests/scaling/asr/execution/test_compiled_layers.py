"""Compiled layers of a recogniser: the same gradients to rounding, once for all layers and lengths, while learning."""

import gc
import shutil
import weakref
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from encoder_reference import MINI_ENCODERS
from flop_reference import MINI_LLM, Trains
from recognizers import JOINT, gradients, noise, prepared
from tiny_world import order, train_study, write_study
from torch import Tensor
from torch._dynamo.utils import counters

from scaling.asr.execution import layer_modes
from scaling.asr.execution.layer_modes import checkpoint_layers, compile_layers
from scaling.asr.execution.precision import round_frozen_weights
from scaling.asr.model import greedy
from scaling.asr.model.llm_decoder import LlmDecoder
from scaling.asr.model.recognizer import Batch, Recognizer
from scaling.spec import Objective, Part, Precision

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning"),  # torch's own, while tracing
]

ASR_STAGE = Trains(Objective.ASR, frozenset({Part.ENCODER, Part.ASR_DECODER}))
LLM_STAGE = Trains(Objective.LLM, frozenset({Part.PROJECTOR, Part.LLM_LORA}))
TOLERANCE = {Precision.FP32: 1e-4, Precision.BF16: 5e-2}
"""Of the largest gradient of a tensor."""
ZERO = 1e-4
"""So small beside the largest of all, a gradient is nothing but rounding: a bias of keys, to which softmax is blind."""


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture(autouse=True)
def fresh(kernels: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing compiled before in this process, nothing left behind; kernels are kept from test to test."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(kernels))
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()
    layer_modes._compiled.cache_clear()


def graphs() -> int:
    """Compiled so far."""
    return counters["stats"]["unique_graphs"]


def heard(model: Recognizer, given: Batch) -> Batch:
    """As a stage that leaves the encoder alone trains on it."""
    with torch.no_grad():
        return replace(given, encoded=model.encode(given))


def assert_close(plain: Recognizer, compiled: Recognizer, given: Batch, objective: Objective, **how: Precision) -> None:
    expected, found = (gradients(model, given, objective, **how) for model in (plain, compiled))
    assert expected.keys() == found.keys()
    tolerance, largest = TOLERANCE[how.get("precision", Precision.FP32)], max(map(size, expected.values()))
    for name, gradient in expected.items():
        assert size(found[name] - gradient) <= tolerance * max(size(gradient), ZERO * largest), name


def size(gradient: Tensor) -> float:
    return float(gradient.abs().max())


@pytest.mark.parametrize("backend", ["eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_one_compilation_gives_the_gradients_of_all_layers_lengths_and_models(monkeypatch, backend):
    """Traced as ever by torch; what takes a minute is the C++ of its own backend."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    encoder = MINI_ENCODERS[0]
    assert MINI_LLM.layers > 1
    plain = prepared(encoder, LLM_STAGE)
    for again in (False, True):
        faster = compile_layers(prepared(encoder, LLM_STAGE))
        if again:
            checkpoint_layers(faster)
        for seed in range(3):
            given = heard(plain, noise(encoder, utterances=3 + seed, seed=seed))
            assert_close(plain, faster, given, Objective.LLM)
    assert graphs() == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoder", "training", "precision"),
    [
        *((encoder, training, Precision.FP32) for encoder in MINI_ENCODERS for training in (ASR_STAGE, JOINT)),
        (MINI_ENCODERS[0], JOINT, Precision.BF16),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_gradients_are_those_of_layers_as_written_whatever_trains(encoder, training, precision):
    plain, compiled = prepared(encoder, training), compile_layers(prepared(encoder, training))
    if precision is Precision.BF16:
        round_frozen_weights(plain)
        round_frozen_weights(compiled)
    assert_close(plain, compiled, noise(encoder), training.objective, precision=precision)
    assert graphs()


def test_without_a_gradient_nothing_is_compiled():
    encoder = MINI_ENCODERS[0]
    model = compile_layers(prepared(encoder))
    given = heard(model, noise(encoder))
    with torch.no_grad():
        greedy.decode(LlmDecoder(model, model.prompts(given)), [3] * len(given.frames_B), end=1)
    assert not graphs()


@pytest.mark.slow
def test_a_model_goes_with_its_last_user():
    gc.collect()
    gc.disable()
    try:
        model = compile_layers(prepared(MINI_ENCODERS[0], LLM_STAGE))
        gradients(model, heard(model, noise(MINI_ENCODERS[0])), Objective.LLM)
        layer = weakref.ref(model.llm.get_decoder().layers[0])
        del model
        assert layer() is None
    finally:
        gc.enable()


@pytest.mark.slow
def test_a_study_is_trained_with_compiled_layers_at_the_same_price(world, tmp_path):
    plan_file = {}
    for compile_too in (False, True):
        study = write_study(world, strategies=["efin", "joint"], compile=compile_too)
        plan_file[compile_too] = order(study, tmp_path / str(compile_too))
        train_study(study, tmp_path / str(compile_too))
    assert plan_file[False].nodes == plan_file[True].nodes
    for key in plan_file[True].nodes:
        plain, compiled = (plan_file[way].ledger.result(key) for way in (False, True))
        assert (plain.provenance["compile"], compiled.provenance["compile"]) == (False, True)
        assert (plain.flops, plain.executed_flops) == (compiled.flops, compiled.executed_flops)
        assert compiled.loss == pytest.approx(plain.loss, rel=1e-3)
