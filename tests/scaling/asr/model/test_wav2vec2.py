"""The CTC family: equal to Hugging Face's models alone, blind to what else is in the batch, trained like any other."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from encoder_reference import MINI_HUBERT, MINI_WAV2VEC2, asr_module, wav2vec2_config
from flop_reference import counter
from tiny_world import NeverStop, StopAfter, assert_same_weights, final_weights, order, train_study, write_study
from torch import nn
from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC, Wav2Vec2ForPreTraining

import scaling.asr.model.load_base
import scaling.asr.node
import scaling.asr.resources
from scaling.asr.__main__ import work
from scaling.asr.model.encoders.registry import family_of
from scaling.asr.model.encoders.wav2vec2 import WAV2VEC2, Waveform
from scaling.asr.model.load_base import BaseModels
from scaling.asr.model.recognizer import Batch, Recognizer
from scaling.asr.use.export_folder import read_export, write_export
from scaling.asr.use.trained_recognizer import read_run
from scaling.base_models.encoders import asr_codec, encoder_dims
from scaling.errors import InputError
from scaling.ledger.ledger import Ledger
from scaling.spec import Objective, Part
from scaling.speech.audio import Clip

LETTERS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"0123456789ABE'"]
SAMPLES = (1_700, 9_000, 5_123, 5_124)
TEXTS = ("12", "345678", "9", "00112")
TOLERANCE = 2e-5
"""Sums in another order: about 100 roundings of fp32 at the magnitude of these states."""


def write_directory(folder: Path, model: nn.Module) -> Path:
    model.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({letter: number for number, letter in enumerate(LETTERS)}))
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=[MINI_WAV2VEC2, MINI_HUBERT], ids=lambda dims: dims.name)
def directory(request, tmp_path_factory) -> Path:
    torch.manual_seed(0)
    model = asr_module(request.param, "cpu")
    model.config.hidden_dropout = model.config.layerdrop = 0.1  # as published models have them
    return write_directory(tmp_path_factory.mktemp(request.param.name), model)


@pytest.fixture
def model(directory: Path) -> Recognizer:
    found = Recognizer(BaseModels().encoder(directory), None, None, asr_codec(directory, "en"), None).eval()
    for parameter in found.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.2, generator=torch.Generator().manual_seed(parameter.numel()))
    return found


def waves(chosen: list[int]) -> list[torch.Tensor]:
    return [torch.randn(1, SAMPLES[index], generator=torch.Generator().manual_seed(index)) for index in chosen]


def batch_of(model: Recognizer, chosen: list[int]) -> Batch:
    targets = [torch.tensor(model.asr_codec.targets(TEXTS[index])) for index in chosen]
    return Batch.padded(waves(chosen), torch.device("cpu"), asr_targets=targets)


EVERYONE = list(range(len(SAMPLES)))


@torch.no_grad()
def test_alone_an_utterance_is_heard_as_hugging_faces_model_hears_it(model):
    for index in EVERYONE:
        hidden, _ = model.encode(batch_of(model, [index]))
        theirs = model.asr.base_model(waves([index])[0]).last_hidden_state
        assert torch.allclose(hidden, theirs, atol=TOLERANCE)


@torch.no_grad()
def test_what_is_heard_does_not_depend_on_the_neighbours(model):
    together, lengths = model.encode(batch_of(model, EVERYONE))
    for row, index in enumerate(EVERYONE):
        alone, (length,) = model.encode(batch_of(model, [index]))
        assert lengths[row] == length
        assert torch.allclose(together[row, :length], alone[0], atol=TOLERANCE)
        assert not together[row, length:].any()


@torch.no_grad()
def test_the_loss_is_ctc_summed_over_utterances(model):
    together, tokens = model.loss(batch_of(model, EVERYONE), Objective.ASR)
    assert tokens == sum(map(len, TEXTS))
    alone = 0.0
    for index in EVERYONE:
        labels = torch.tensor([model.asr_codec.targets(TEXTS[index])])
        model.asr.config.ctc_loss_reduction = "sum"
        alone += float(model.asr(waves([index])[0], labels=labels).loss)
    assert float(together) == pytest.approx(alone, rel=1e-5)


@torch.no_grad()
def test_a_model_in_training_draws_nothing_whatever_its_config_asks_for(model, directory):
    config = json.loads((directory / "config.json").read_text())
    assert config["hidden_dropout"] > 0
    assert config["layerdrop"] > 0
    before, _ = model.loss(batch_of(model, EVERYONE), Objective.ASR)
    after, _ = model.train().loss(batch_of(model, EVERYONE), Objective.ASR)
    assert torch.equal(before, after)


def test_greedy_text_joins_repetitions_and_leaves_out_blanks_and_padding(model):
    path = torch.tensor([[0, 6, 6, 0, 6, 7, 7], [7, 7, 8, 0, 0, 9, 9]])
    hidden = nn.functional.one_hot(path, 37).float()
    model.asr.lm_head = nn.Identity()
    assert model.objective.decode(model.asr, model.asr_codec, (hidden, torch.tensor([7, 5])), 9) == [[6, 6, 7], [7, 8]]
    assert model.objective.decode(model.asr, model.asr_codec, (hidden, torch.tensor([7, 5])), 2) == [[6, 6], [7, 8]]


def test_letters_stand_for_both_cases_and_words_keep_their_spaces(directory):
    codec = asr_codec(directory, "en")
    assert codec.targets("a 1") == codec.targets("A 1") == [LETTERS.index(letter) for letter in "A|1"]
    assert codec.targets("é") == [LETTERS.index("<unk>")]
    assert codec.decode(codec.targets("abba e11")) == "ABBA E11"


def test_the_waveform_is_the_feature_extractors(directory):
    samples = np.random.default_rng(0).standard_normal(5_000).astype(np.float32) * 0.1 + 0.02
    theirs = Wav2Vec2FeatureExtractor.from_pretrained(directory)(samples, sampling_rate=16_000, return_tensors="pt")
    ours = Waveform.from_directory(directory)(samples)
    assert torch.allclose(ours, theirs.input_values, atol=1e-6)


def test_audio_shorter_than_a_frame_is_refused(directory):
    features = family_of(directory).features(directory)
    assert features(np.zeros(325, np.float32)).shape == (1, 325)
    with pytest.raises(InputError, match="expected at least 325"):
        features(np.zeros(324, np.float32))


def test_a_checkpoint_without_a_head_gets_the_same_one_every_time(tmp_path):
    torch.manual_seed(1)
    pretrained = Wav2Vec2ForPreTraining(
        wav2vec2_config(MINI_WAV2VEC2).__class__(
            **wav2vec2_config(MINI_WAV2VEC2).to_dict() | {"num_codevectors_per_group": 4, "codevector_dim": 4}
        )
    )
    directory = write_directory(tmp_path / "pretrained", pretrained)
    heads = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        heads.append(BaseModels().encoder(directory).lm_head.weight)
    assert torch.equal(*heads)
    assert heads[0].std() > 0


def test_weights_that_lack_a_layer_are_refused(directory, tmp_path):
    short = write_directory(tmp_path / "short", Wav2Vec2ForCTC(wav2vec2_config(MINI_WAV2VEC2)))
    config = json.loads((short / "config.json").read_text())
    (short / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 4}))
    with pytest.raises(InputError, match=r"the weights lack .*layers\.3.* and \d+ more tensors"):
        BaseModels().encoder(short)
    (short / "config.json").write_text(json.dumps(config | {"intermediate_size": 44}))
    with pytest.raises(InputError, match="a model that cannot be loaded"):
        BaseModels().encoder(short)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("add_adapter", True), ("feat_proj_layer_norm", False), ("conv_pos_batch_norm", True), ("conv_dim", [12])],
)
def test_variants_with_other_products_are_refused_by_name(directory, tmp_path, setting, value):
    config = json.loads((directory / "config.json").read_text()) | {setting: value}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=setting):
        encoder_dims(tmp_path / "config.json")


@pytest.fixture(scope="module")
def ctc_world(world: Path) -> Path:
    torch.manual_seed(0)
    write_directory(world / "ctc", asr_module(MINI_WAV2VEC2, "cpu"))
    return world


def ctc_study(world: Path, **fields) -> Path:
    return write_study(world, models=[{"encoder": "ctc", "llm": "llm"}], **fields)


def test_its_own_objective_learns_and_its_front_end_does_not(ctc_world, tmp_path):
    alone = {"name": "alone", "stages": [{"name": "encoder", "objective": "asr", "share": 1.0,
                                          "trains": {"encoder": 3e-3, "asr_decoder": 3e-3}}]}  # fmt: skip
    few, many = train_study(ctc_study(ctc_world, strategies=[alone], budgets_flops=[2e7, 6e8]), tmp_path)
    assert many["stages"][0]["loss"] < 0.7 * few["stages"][0]["loss"]
    weights = final_weights(Ledger(tmp_path), many["nodes"][-1])
    assert {name.partition("/")[0] for name in weights} == {"encoder", "asr_decoder"}
    assert not any("feature_extractor" in name for name in weights)


@pytest.mark.parametrize("strategy", ["efin", "joint"])
def test_flops_of_a_run_are_what_an_operation_counter_sees_in_it(ctc_world, tmp_path, monkeypatch, strategy):
    counted = 0
    plain_train = scaling.asr.node.train

    def counting_train(*arguments):
        nonlocal counted
        with counter() as count:
            result = plain_train(*arguments)
        counted += count.get_total_flops()
        return result

    monkeypatch.setattr(scaling.asr.node, "train", counting_train)
    monkeypatch.setattr(scaling.asr.evaluation.evaluation_in_training.Pacing, "due", lambda self, seconds: False)
    monkeypatch.setattr(
        scaling.asr.model.load_base, "ATTENTION", "eager"
    )  # torch counts fused attention on CPU as nothing
    monkeypatch.setattr(scaling.asr.resources, "GROUP_SAMPLES", 0)  # what groups add has a test in test_currencies
    (row,) = train_study(ctc_study(ctc_world, strategies=[strategy], budgets_flops=[4e7]), tmp_path)
    assert row["cache_credited_flops"] == counted


@pytest.mark.parametrize(
    "strategy",
    ["efin", pytest.param("joint", marks=pytest.mark.slow)],  # whose one stage is efin's last, the encoder trained too
)
def test_a_node_interrupted_at_every_step_ends_as_the_uninterrupted_one(ctc_world, tmp_path, strategy):
    study = ctc_study(ctc_world, strategies=[strategy], budgets_flops=[5e7])
    (row,) = train_study(study, tmp_path / "plain")
    plan_file = order(study, tmp_path / "broken")
    stops = 0
    while not all(plan_file.ledger.done(key) for key in plan_file.nodes):
        stops += 1
        work(plan_file.ledger, plan_file, StopAfter(2))
    assert stops > 5
    for key in row["nodes"]:
        assert_same_weights(final_weights(Ledger(tmp_path / "plain"), key), final_weights(plan_file.ledger, key))


def test_adapters_of_its_encoder_train_merge_and_are_exported(ctc_world, tmp_path):
    stages = [
        {"name": "adapt", "objective": "asr", "share": 0.4, "trains": ["encoder_lora", "asr_decoder"]},
        {"name": "join", "objective": "llm", "share": 0.6, "trains": ["encoder_lora", "projector", "llm_lora"]},
    ]
    study = ctc_study(ctc_world, strategies=[{"name": "adapters", "stages": stages}], budgets_flops=[4e7])
    (row,) = train_study(study, tmp_path / "run")
    plan_file = order(study, tmp_path / "run")
    trained, node = read_run(plan_file.ledger, plan_file.sources, row["nodes"][-1])
    assert trained.model.part_parameters(Part.ENCODER_LORA)
    clips = [Clip(path=ctc_world / "test" / f"{number}.wav") for number in range(4)]
    before = dict(trained.transcripts(clips))
    (tmp_path / "out").mkdir()
    write_export(trained, node, (ctc_world / "ctc", ctc_world / "llm"), tmp_path / "out")
    assert dict(read_export(tmp_path / "out").transcripts(clips)) == before


def test_stage_encoder_alone_is_scored_by_ctc(ctc_world, tmp_path):
    alone = {"name": "alone", "stages": [{"name": "encoder", "objective": "asr", "share": 1.0,
                                          "trains": ["encoder", "asr_decoder"]}]}  # fmt: skip
    plan_file = order(ctc_study(ctc_world, strategies=[alone], budgets_flops=[4e7]), tmp_path)
    assert work(plan_file.ledger, plan_file, NeverStop()) == 0
    assert WAV2VEC2.model is Wav2Vec2ForCTC
    result = plan_file.ledger.result(plan_file.nodes[-1])
    assert result.test["clean"].n_utterances == 10
