"""Families with CTC: equal to Hugging Face's model alone, blind to their neighbours, with adapters that are heard, and
trained through the strategies at the FLOPs that an operation counter sees.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from encoder_reference import (
    MINI_OMNIASR,
    MINI_PARAKEET,
    MINI_STABLE_WAVLM,
    MINI_W2V_BERT,
    MINI_WAVLM,
    asr_module,
)
from flop_reference import counter
from stranger import written_by_the_card_in_this_process
from tiny_world import train_study, write_study
from torch import Tensor, nn
from transformers import (
    OmniASRFeatureExtractor,
    ParakeetFeatureExtractor,
    SeamlessM4TFeatureExtractor,
    SequenceFeatureExtractor,
    Wav2Vec2FeatureExtractor,
)

import scaling.asr.evaluation.evaluation_in_training
import scaling.asr.model.load_base
import scaling.asr.node
import scaling.asr.resources
from scaling.asr.model.encoders.registry import FAMILIES, family_of
from scaling.asr.model.load_base import BaseModels
from scaling.asr.model.recognizer import Batch, Recognizer
from scaling.base_models.encoders import EncoderDims, asr_codec, encoder_dims
from scaling.base_models.matmul_tape import Work
from scaling.errors import InputError
from scaling.spec import LoraSpec, Objective, Part
from sweeps.finished.transcribe_export import export

LETTERS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"0123456789ABE'"]
SAMPLES = (4_000, 9_000, 5_123, 5_284)
TEXTS = ("12", "345", "9", "01")
TOLERANCE = 5e-5
"""Sums in another order: about 100 roundings of fp32 at the magnitude of these states."""


@dataclass(frozen=True)
class Kind:
    """A family, its extractor, and how Hugging Face's model is given what the extractor found."""

    dims: EncoderDims
    extractor: SequenceFeatureExtractor
    inputs: Callable[[Tensor], dict[str, Any]]


def waves(features_1MT: Tensor) -> dict[str, Any]:
    return {"input_values": features_1MT[:, 0]}


def frames(features_1MT: Tensor) -> dict[str, Any]:
    return {"input_features": features_1MT.transpose(1, 2), "attention_mask": real(features_1MT)}


def real(features_1MT: Tensor) -> Tensor:
    return torch.ones(1, features_1MT.shape[2], dtype=torch.bool)


KINDS = [
    Kind(MINI_WAVLM, Wav2Vec2FeatureExtractor(), waves),
    Kind(MINI_STABLE_WAVLM, Wav2Vec2FeatureExtractor(), waves),
    Kind(MINI_OMNIASR, OmniASRFeatureExtractor(), lambda x: {"input_values": x, "padding_mask": real(x)}),
    Kind(MINI_PARAKEET, ParakeetFeatureExtractor(feature_size=16), frames),
    Kind(MINI_W2V_BERT, SeamlessM4TFeatureExtractor(), frames),
]


def write_directory(folder: Path, kind: Kind) -> Path:
    torch.manual_seed(0)
    model = asr_module(kind.dims, "cpu")
    for config in (
        model.config,
        getattr(model.config, "encoder_config", None),
        getattr(model.config, "audio_config", None),
    ):
        if hasattr(config, "layerdrop"):
            config.layerdrop = config.activation_dropout = 0.5  # as published models have some
    for name, buffer in model.named_buffers():
        if "running" in name:
            nn.init.uniform_(buffer, 0.5, 1.5)
    model.save_pretrained(folder)
    kind.extractor.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({letter: number for number, letter in enumerate(LETTERS)}))
    return folder


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.dims.name)
def kind(request) -> Kind:
    return request.param


@pytest.fixture(scope="module")
def directory(kind, tmp_path_factory) -> Path:
    return write_directory(tmp_path_factory.mktemp(kind.dims.name), kind)


@pytest.fixture
def model(directory: Path) -> Recognizer:
    found = Recognizer(BaseModels().encoder(directory), None, None, asr_codec(directory, "en"), None).eval()
    for parameter in found.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.2, generator=torch.Generator().manual_seed(parameter.numel()))
    return found


def audio(index: int) -> np.ndarray:
    return np.random.default_rng(index).standard_normal(SAMPLES[index]).astype(np.float32) * 0.1


def batch_of(model: Recognizer, directory: Path, chosen: list[int]) -> Batch:
    extract = family_of(directory).features(directory)
    targets = [torch.tensor(model.asr_codec.targets(TEXTS[index])) for index in chosen]
    return Batch.padded([extract(audio(index)) for index in chosen], torch.device("cpu"), asr_targets=targets)


def logits(model: Recognizer, batch: Batch) -> Tensor:
    return model.objective.modules(model.asr)[""](model.encode(batch)[0])


EVERYONE = list(range(len(SAMPLES)))


def test_the_dimensions_are_those_of_the_config(kind, directory):
    assert encoder_dims(directory / "config.json") == kind.dims


@torch.no_grad()
def test_alone_an_utterance_is_heard_as_hugging_faces_model_hears_it(kind, directory, model):
    theirs = FAMILIES[model.asr.config.model_type].model.from_pretrained(directory, attn_implementation="eager").eval()
    theirs.load_state_dict(model.asr.state_dict())
    for index in EVERYONE:
        batch = batch_of(model, directory, [index])
        expected = theirs(**kind.inputs(batch.features_BMT)).logits
        assert torch.allclose(logits(model, batch), expected, atol=TOLERANCE)


@torch.no_grad()
def test_what_is_heard_does_not_depend_on_the_neighbours(kind, directory, model):
    together, lengths = model.encode(batch_of(model, directory, EVERYONE))
    work = kind.dims.encoder_work(np.array(SAMPLES))
    assert lengths.tolist() == work[Work.ENCODER_FRAMES].tolist()
    for row, index in enumerate(EVERYONE):
        alone, (length,) = model.encode(batch_of(model, directory, [index]))
        assert length == lengths[row] == alone.shape[1]
        assert torch.allclose(together[row, :length], alone[0], atol=TOLERANCE)
        assert not together[row, length:].any()


@torch.no_grad()
def test_a_model_in_training_draws_nothing_and_mixes_no_utterances(directory, model):
    batch = batch_of(model, directory, EVERYONE)
    before, _ = model.loss(batch, Objective.ASR)
    model.set_trainable([Part.ENCODER, Part.ASR_DECODER])
    assert torch.equal(model.loss(batch, Objective.ASR)[0], before)
    assert torch.equal(model.train().loss(batch, Objective.ASR)[0], before)
    buffers = dict(model.asr.named_buffers())
    assert all(torch.equal(buffers[name], value) for name, value in BaseModels().encoder(directory).named_buffers())


@torch.no_grad()
def test_the_loss_is_ctc_with_the_blank_of_the_model(kind, directory, model):
    for index in EVERYONE:
        batch = batch_of(model, directory, [index])
        model.asr.config.ctc_loss_reduction = "sum"
        theirs = model.asr(**kind.inputs(batch.features_BMT), labels=batch.asr_targets[0][None]).loss
        assert float(model.loss(batch, Objective.ASR)[0]) == pytest.approx(float(theirs), rel=1e-4)


@torch.no_grad()
def test_adapters_are_heard_on_every_layer_that_may_have_them(kind, directory, model):
    batch = batch_of(model, directory, [0])
    plain = model.encode(batch)[0]
    for target in kind.dims.linears:
        adapted = Recognizer(BaseModels().encoder(directory), None, None, model.asr_codec, None).eval()
        adapted.load_state_dict(model.state_dict())
        adapted.add_adapters(Part.ENCODER_LORA, LoraSpec(rank=2, alpha=4.0, targets=(target,)), seed=0)
        for name, parameter in adapted.part_parameters(Part.ENCODER_LORA).items():
            if "lora_B" in name:
                nn.init.normal_(parameter)
        assert not torch.allclose(adapted.encode(batch)[0], plain, atol=100 * TOLERANCE), target


def test_audio_too_short_for_a_frame_is_refused(kind, directory):
    extract = family_of(directory).features(directory)
    assert extract(np.zeros(1_000, np.float32)).shape[0] == kind.dims.input_features
    with pytest.raises(InputError, match="expected at least"):
        extract(np.zeros(300, np.float32))


def test_an_extractor_of_another_model_is_refused(tmp_path):
    directory = write_directory(tmp_path, Kind(MINI_PARAKEET, ParakeetFeatureExtractor(feature_size=80), frames))
    with pytest.raises(InputError, match="gives 80 features at 16000 Hz; expected 16 at 16000"):
        family_of(directory).features(directory)
    (directory / "preprocessor_config.json").unlink()
    with pytest.raises(InputError, match="a feature extractor that cannot be read"):
        family_of(directory).features(directory)


@pytest.mark.parametrize("kind", [KINDS[0], *KINDS[2:]], ids=lambda kind: kind.dims.name, indirect=False)
def test_a_strategy_trains_it_at_the_flops_that_a_counter_sees_and_its_export_is_usable(
    world, kind, tmp_path, in_this_process
):
    counted = 0
    plain_train = scaling.asr.node.train

    def counting_train(*arguments):
        nonlocal counted
        with counter() as count:
            result = plain_train(*arguments)
        counted += count.get_total_flops()
        return result

    write_directory(world / kind.dims.name, kind)
    study = write_study(
        world, models=[{"encoder": kind.dims.name, "llm": "llm"}], strategies=["efin"], budgets_flops=[3e7],
        batch_audio_seconds=0.6,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scaling.asr.node, "train", counting_train)
        patch.setattr(scaling.asr.evaluation.evaluation_in_training.Pacing, "due", lambda self, seconds: False)
        patch.setattr(scaling.asr.model.load_base, "ATTENTION", "eager")  # torch counts fused attention as nothing
        patch.setattr(scaling.asr.resources, "GROUP_SAMPLES", 0)  # what groups add has a test in test_step_costs.py
        (row,) = train_study(study, tmp_path)
    assert row["cache_credited_flops"] == counted
    assert all(np.isfinite(stage["loss"]) for stage in row["stages"])
    assert row["status"] == "ok"
    export(tmp_path, tmp_path / "out", None, "efin")
    first = json.loads((tmp_path / "utterances" / f"{row['key']}.jsonl").read_text().splitlines()[0])
    samples, _ = soundfile.read(world / "test" / "0.wav", dtype="float32")
    assert first["hyp"]
    assert written_by_the_card_in_this_process(tmp_path / "out", samples).startswith(first["hyp"])
