"""Qwen3-Omni's tower is heard as transformers hears it before the projector, alone and within a whole checkpoint."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import Qwen3ASRFeatureExtractor, Qwen3OmniMoeConfig, WhisperFeatureExtractor
from transformers.models.qwen3_omni_moe.configuration_qwen3_omni_moe import Qwen3OmniMoeAudioEncoderConfig
from transformers.models.qwen3_omni_moe.modeling_qwen3_omni_moe import Qwen3OmniMoeAudioEncoder

from scaling.asr.model.encoders.registry import family_of
from scaling.asr.model.load_base import BaseModels
from scaling.base_models.encoders import encoder_dims
from scaling.errors import InputError

SETTINGS = {
    "num_mel_bins": 16, "d_model": 24, "encoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 40,
    "downsample_hidden_size": 6, "n_window_infer": 200, "output_dim": 32,
}  # fmt: skip


@pytest.fixture(scope="module")
def tower() -> Qwen3OmniMoeAudioEncoder:
    torch.manual_seed(0)
    return Qwen3OmniMoeAudioEncoder(Qwen3OmniMoeAudioEncoderConfig(**SETTINGS)).eval()


def alone(tower: Qwen3OmniMoeAudioEncoder, folder: Path) -> Path:
    tower.save_pretrained(folder)
    return folder


def whole(tower: Qwen3OmniMoeAudioEncoder, folder: Path) -> Path:
    """As a whole checkpoint names its tower; the rest of its weights is of no use here."""
    folder.mkdir()
    config = Qwen3OmniMoeConfig(thinker_config={"audio_config": SETTINGS})
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    weights = {f"thinker.audio_tower.{name}": value for name, value in tower.state_dict().items()}
    save_file({**weights, "thinker.lm_head.weight": torch.zeros(2)}, folder / "model.safetensors", {"format": "pt"})
    return folder


@torch.no_grad()
@pytest.mark.parametrize("written", [alone, whole])
@pytest.mark.parametrize("seconds", [0.6, 1.0, 4.32])
def test_an_utterance_is_heard_as_transformers_hears_it_before_the_projector(tower, written, seconds, tmp_path):
    directory = written(tower, tmp_path / "tower")
    WhisperFeatureExtractor(feature_size=16).save_pretrained(directory)
    samples_T = np.random.default_rng(0).standard_normal(int(16_000 * seconds)).astype(np.float32) * 0.1
    family = family_of(directory)
    features_MT = family.features(directory)(samples_T)
    frames = features_MT.shape[1]
    heard, lengths = family.encode(BaseModels().encoder(directory).eval(), features_MT[None], torch.tensor([frames]))
    by_card = Qwen3ASRFeatureExtractor.from_pretrained(directory, min_length=0)  # as an export's card says
    mask = {"padding": "longest", "return_attention_mask": True, "return_tensors": "pt"}
    written = by_card(samples_T, sampling_rate=16_000, **mask).input_features[0]
    assert written.shape[1] == -(-frames // 100) * 100
    assert torch.allclose(written[:, :frames], features_MT, atol=1e-5)
    bare = copy.deepcopy(tower)
    bare.proj1, bare.act, bare.proj2 = (nn.Identity() for _ in range(3))
    beside = torch.cat([features_MT, torch.zeros(16, 100)], 1)  # alone, less than a second fills no chunk of theirs
    theirs = bare(beside, feature_lens=torch.tensor([frames, 100])).last_hidden_state[:-13]
    assert lengths.tolist() == [len(theirs)]
    assert torch.allclose(heard[0], theirs, atol=1e-5)


def test_its_dimensions_have_the_parameters_of_the_tower_without_its_projector(tower, tmp_path):
    dims = encoder_dims(whole(tower, tmp_path / "whole") / "config.json")
    parameters = {name: value.numel() for name, value in tower.named_parameters() if not name.startswith("proj")}
    assert dims.encoder_params == sum(parameters.values())
    assert (dims.width, dims.layers, dims.window_chunks) == (24, 2, 2)
    (tmp_path / "config.json").write_text('{"model_type": "qwen3_omni_moe", "thinker_config": {"audio_config": {}}}')
    assert (encoder_dims(tmp_path / "config.json").width, encoder_dims(tmp_path / "config.json").layers) == (1280, 32)
    (tmp_path / "config.json").write_text('{"model_type": "qwen3_omni_moe", "thinker_config": {}}')
    with pytest.raises(InputError, match=r"thinker_config\.audio_config must be an object of settings, not None"):
        encoder_dims(tmp_path / "config.json")
