"""Encoders without an objective of their own: heard as Hugging Face hears them, trained through the LLM as they are,
and with a fresh CTC head by their own, at the FLOPs that an operation counter sees.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from encoder_reference import CLASSES, MINI_QWEN3_ASR, MINI_VOXTRAL, asr_module, encoder_config
from flop_reference import counter
from stranger import written_by_the_card_in_this_process
from tiny_world import ENCODER_ONLY, final_weights, order, train_study, write_study
from torch import Tensor
from transformers import (
    PreTrainedModel,
    Qwen3ASRFeatureExtractor,
    Qwen3ASRForConditionalGeneration,
    SequenceFeatureExtractor,
    VoxtralForConditionalGeneration,
    WhisperFeatureExtractor,
)

import scaling.asr.evaluation.evaluation_in_training
import scaling.asr.model.load_base
import scaling.asr.node
import scaling.asr.resources
from scaling.asr.model.encoders.registry import family_of
from scaling.asr.model.load_base import BaseModels
from scaling.asr.model.recognizer import Batch
from scaling.asr.use.export_folder import read_export
from scaling.base_models.encoders import EncoderDims, encoder_dims
from scaling.base_models.letters import Letters
from scaling.errors import InputError
from scaling.ledger.ledger import Ledger
from scaling.speech.recordings import find_recordings
from sweeps.finished.transcribe_export import export
from sweeps.study.study import load_study


@dataclass(frozen=True)
class Tower:
    """A tower without a head, its extractor, the model and config that hold it, and a length that its model hears."""

    dims: EncoderDims
    extractor: SequenceFeatureExtractor
    whole: type[PreTrainedModel]
    text: str
    seconds: float
    reads_mask: bool


TOWERS = [
    Tower(
        replace(MINI_VOXTRAL, fresh_vocabulary=0),
        WhisperFeatureExtractor(feature_size=20, chunk_length=6),
        VoxtralForConditionalGeneration,
        "llama",
        6.0,
        reads_mask=False,
    ),
    Tower(
        replace(MINI_QWEN3_ASR, fresh_vocabulary=0),
        Qwen3ASRFeatureExtractor(feature_size=16),
        Qwen3ASRForConditionalGeneration,
        "qwen3",
        4.32,
        reads_mask=True,
    ),
]


def write_tower(folder: Path, tower: Tower) -> Path:
    torch.manual_seed(0)
    asr_module(tower.dims, "cpu").save_pretrained(folder)
    tower.extractor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=TOWERS, ids=lambda tower: tower.dims.name)
def tower(request) -> Tower:
    return request.param


@pytest.fixture(scope="module", autouse=True)
def directory(tower: Tower, world: Path) -> Path:
    shutil.rmtree(world / "tower", ignore_errors=True)
    return write_tower(world / "tower", tower)


def encoded(directory: Path, samples_T: np.ndarray) -> Tensor:
    family = family_of(directory)
    features_MT = family.features(directory)(samples_T)
    return family.encode(
        BaseModels().encoder(directory).eval(), features_MT[None], torch.tensor([features_MT.shape[1]])
    )[0]


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(int(16_000 * seconds)).astype(np.float32) * 0.1


@torch.no_grad()
def test_alone_an_utterance_is_heard_as_hugging_faces_model_hears_it(tower, directory):
    """Voxtral's own forward hears no other length than its longest."""
    theirs = CLASSES[type(encoder_config(tower.dims))].from_pretrained(directory, attn_implementation="eager").eval()
    found = tower.extractor(noise(tower.seconds), sampling_rate=16_000, padding="longest", return_tensors="pt",
                            return_attention_mask=True)  # fmt: skip
    expected = theirs(found["input_features"], *[found["attention_mask"]] * tower.reads_mask).last_hidden_state
    assert torch.allclose(encoded(directory, noise(tower.seconds))[0], expected.reshape(-1, 24), atol=1e-5)


@torch.no_grad()
def test_what_is_heard_does_not_depend_on_the_neighbours(directory):
    model, extract = BaseModels().encoder(directory).eval(), family_of(directory).features(directory)
    features = [extract(noise(seconds)) for seconds in (4.0, 2.5, 0.3)]
    batch = Batch.padded(features, torch.device("cpu"))
    together, lengths = family_of(directory).encode(model, batch.features_BMT, batch.frames_B)
    for row, seconds in enumerate((4.0, 2.5, 0.3)):
        alone = encoded(directory, noise(seconds))[0]
        assert len(alone) == lengths[row]
        assert torch.allclose(together[row, : len(alone)], alone, atol=1e-5)
        assert not together[row, len(alone) :].any()


@torch.no_grad()
def test_a_whole_checkpoint_is_heard_as_its_tower(tower, tmp_path):
    text = {
        "model_type": tower.text, "vocab_size": 40, "hidden_size": 24, "intermediate_size": 24, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8,
    }  # fmt: skip
    config = tower.whole.config_class(audio_config=encoder_config(tower.dims).to_dict(), text_config=text)
    whole = tower.whole(config)
    whole.save_pretrained(write_tower(tmp_path / "whole", tower))
    whole.model.audio_tower.save_pretrained(write_tower(tmp_path / "alone", tower))
    dims = [encoder_dims(tmp_path / name / "config.json") for name in ("whole", "alone")]
    assert dims == [tower.dims, tower.dims]
    assert torch.equal(*(encoded(tmp_path / name, noise(1.0)) for name in ("whole", "alone")))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """FLOPs of training, node by node, with what the counter cannot see or what is no training switched off."""
    seen: list[int] = []
    plain_train = scaling.asr.node.train

    def counting_train(*arguments):
        with counter() as count:
            result = plain_train(*arguments)
        seen.append(count.get_total_flops())
        return result

    with monkeypatch.context() as patch:
        patch.setattr(scaling.asr.node, "train", counting_train)
        patch.setattr(scaling.asr.evaluation.evaluation_in_training.Pacing, "due", lambda self, seconds: False)
        patch.setattr(scaling.asr.model.load_base, "ATTENTION", "eager")
        patch.setattr(scaling.asr.resources, "GROUP_SAMPLES", 0)
        yield seen


def study_of(world: Path, strategies: list[object], **model: object) -> Path:
    models = [{"encoder": "tower", "llm": "llm", **model}]
    return write_study(world, models=models, strategies=strategies, budgets_flops=[4e7], batch_audio_seconds=0.6)


def test_without_a_head_it_trains_through_the_llm_at_the_flops_that_a_counter_sees(world, tmp_path, counted):
    rows = train_study(study_of(world, ["frozen_encoder"]), tmp_path)
    assert [row["status"] for row in rows] == ["ok"]
    assert sum(row["cache_credited_flops"] for row in rows) == sum(counted)
    assert rows[0]["asr_decoder_params"] == 0


def test_a_fresh_head_is_trained_carried_on_charged_and_left_out_of_an_export_that_has_no_use_for_it(
    world, tmp_path, counted, in_this_process
):
    rows = train_study(study_of(world, ["efin", ENCODER_ONLY], fresh_ctc_head=True), tmp_path)
    assert [row["status"] for row in rows] == ["ok", "ok"]
    trunk_of_both = counted[0]
    assert sum(row["cache_credited_flops"] for row in rows) == sum(counted) + trunk_of_both
    letters = Letters("0123456789")
    assert rows[0]["asr_decoder_params"] == 25 * 12
    efin, alone = ({row["strategy"]: row for row in rows}[name] for name in ("efin", "encoder-only"))
    ledger = Ledger(tmp_path)
    heads = [final_weights(ledger, stage["node"])["asr_decoder/weight"] for stage in efin["stages"]]
    assert heads[0].shape == (12, 24)
    assert all(torch.equal(heads[0], head) for head in heads[1:])
    export(tmp_path, tmp_path / "llm", None, "efin")
    assert not (tmp_path / "llm" / "ctc_head.safetensors").exists()
    assert "ctc_letters" not in json.loads((tmp_path / "llm" / "recognizer.json").read_text())
    export(tmp_path, tmp_path / "own", None, "encoder-only")
    recognizer = read_export(tmp_path / "own")
    assert torch.equal(
        recognizer.model.ctc_head.weight, final_weights(ledger, alone["nodes"][-1])["asr_decoder/weight"]
    )
    assert Letters.of_tokenizer(recognizer.model.asr_codec.tokenizer) == letters
    recordings = find_recordings([world / "test.jsonl"], 6.0)
    written = dict(recognizer.transcripts([recording.clip for recording in recordings]))
    assert [written[place] for place in range(len(recordings))] == hypotheses(tmp_path, alone)


def hypotheses(folder: Path, row: dict[str, object]) -> list[str]:
    lines = (folder / "utterances" / f"{row['key']}.jsonl").read_text().splitlines()
    return [json.loads(line)["hyp"] for line in lines]


def test_its_export_is_used_by_its_cards_snippet_which_imports_nothing_of_this_project(
    world, tmp_path, in_this_process
):
    order(study_of(world, ["joint"], fresh_ctc_head=True), tmp_path)  # whose letters the study to be trained lacks
    (row,) = train_study(study_of(world, ["joint"]), tmp_path)
    export(tmp_path, tmp_path / "out", None, "joint")
    samples, _ = soundfile.read(world / "test" / "0.wav", dtype="float32")
    first = hypotheses(tmp_path, row)[0]
    assert first
    assert written_by_the_card_in_this_process(tmp_path / "out", samples).startswith(first)


def test_stages_of_an_objective_that_is_not_there_are_refused_with_what_runs_instead(world):
    with pytest.raises(
        InputError, match=r"strategies\.1: stage 'encoder' trains by the encoder's own objective, and tower"
    ):
        load_study(str(study_of(world, ["joint", "efin"])))
    with pytest.raises(InputError, match=r"models\.0\.fresh_ctc_head: .*false: encoder has an objective of its own"):
        load_study(str(write_study(world, models=[{"encoder": "encoder", "llm": "llm", "fresh_ctc_head": True}])))


def test_what_trains_through_the_llm_alone_has_the_same_nodes_with_and_without_a_head(world, tmp_path):
    plain, headed = (
        order(study_of(world, ["joint"], fresh_ctc_head=head), tmp_path / str(head)) for head in (False, True)
    )
    assert plain.nodes == headed.nodes
    assert [source.letters for source in headed.sources.values() if source.letters] == ["0123456789"]


def test_letters_are_written_and_read_back_and_others_are_unknown():
    letters = Letters.of(["b a", "ａ é"])
    assert letters.characters == " abé"
    tokenizer = letters.tokenizer()
    assert tokenizer.decode(tokenizer.encode("a bé", add_special_tokens=False).ids) == "a bé"
    assert tokenizer.encode("az", add_special_tokens=False).ids == [3, 1]
    assert Letters.of_tokenizer(tokenizer) == letters
