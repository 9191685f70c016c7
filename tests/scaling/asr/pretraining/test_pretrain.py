"""The command that makes the minis, and the soft prefixes that teach an LLM to listen."""

import json
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from scaling.asr.pretraining import mini_llm as base_llm
from scaling.asr.pretraining import pretrain
from scaling.asr.pretraining import soft_prefix as softprefix
from scaling.asr.pretraining.mini_llm import pretrain_llm
from scaling.asr.pretraining.mini_models import BLANK, LlmSize, new_llm, new_tokenizer
from scaling.asr.pretraining.optimizer_loop import Schedule
from scaling.asr.pretraining.soft_prefix import STRETCHES, soft_prefixes
from scaling.base_models.lookup import find_encoder, find_llm
from scaling.errors import InputError
from scaling.speech.synthetic.recipes import RECIPES

TINY = LlmSize(name="tiny", width=16, layers=1, heads=2)
TEXTS = [[5, 6, 6, 7], [8], [9, 9, 9], [5, 6, 7, 8, 9, 5]]


def test_the_encoder_command_makes_a_model_and_its_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("espeakng_loader", reason="the synthesiser is an optional extra: asr-scaling[synth]")
    monkeypatch.setattr(pretrain, "DEV_SETS", ("general",))
    arguments = [
        "encoder",
        "mini-s",
        "--steps",
        "3",
        "--hours",
        "0.01",
        "--corpora",
        str(tmp_path),
        "--out",
        str(tmp_path),
    ]
    ran = CliRunner().invoke(pretrain.app, arguments, catch_exceptions=False)
    assert ran.exit_code == 0
    found = find_encoder(str(tmp_path / "encoders" / "mini-s"))
    making = json.loads((tmp_path / "encoders" / "mini-s" / "making.json").read_text())
    assert making["steps"] == 3
    assert making["flops"] == found.pretrain_flops > 0
    assert 0.5 < making["dev_cer"]["general"] < 20  # three steps teach nothing


def test_the_llm_command_makes_a_model_and_its_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_llm, "HELD_OUT_BATCHES", 2)
    ran = CliRunner().invoke(
        pretrain.app, ["llm", "mini-s", "--steps", "2", "--out", str(tmp_path)], catch_exceptions=False
    )
    assert ran.exit_code == 0
    making = json.loads((tmp_path / "llms" / "mini-s" / "making.json").read_text())
    assert making["parameters"] == find_llm(str(tmp_path / "llms" / "mini-s")).dims.params
    assert set(making["held_out_nats"]["general"]) == {"text", "soft_copy"}


def test_a_wrong_name_and_no_steps_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'mini-s'"):
        pretrain.llm("mini-z", out=tmp_path)
    with pytest.raises(InputError, match="expected at least 1"):
        pretrain.llm("mini-s", out=tmp_path, steps=0)
    assert list(tmp_path.iterdir()) == []


def test_pretraining_is_a_function_of_its_seed() -> None:
    first, again, other = (_tiny_weights(seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_tiny_llm_learns() -> None:
    torch.manual_seed(0)
    tokenizer = new_tokenizer()
    model = new_llm(TINY, len(tokenizer))
    result = pretrain_llm(model, tokenizer, RECIPES["general"], Schedule(steps=60, peak_lr=1e-2), batch=16, seed=0)
    assert result.loss < 0.9 * np.log(len(tokenizer))  # what knowing nothing costs


def test_a_soft_prefix_without_noise_collapses_to_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(softprefix, "MAX_NOISE", 0.0)
    monkeypatch.setattr(softprefix, "STRETCHES", (((1, 3), 1),))
    for seed in range(20):
        prefixes = soft_prefixes(TEXTS, _one_hot(), BLANK, np.random.default_rng(seed))
        for prefix, text in zip(prefixes, TEXTS, strict=True):
            collapsed = [token for token, _ in groupby(prefix.argmax(-1).tolist()) if token != BLANK]
            assert collapsed == text


def test_averaged_frames_keep_their_mass_and_their_rate() -> None:
    texts = [list(range(4, 14)) * 3]
    frames = []
    for seed in range(200):
        (prefix,) = soft_prefixes(texts, _one_hot(), BLANK, np.random.default_rng(seed))
        assert prefix.sum(-1).mean().item() == pytest.approx(1, abs=0.5)  # noise of 16 columns
        frames.append(len(prefix) / len(texts[0]))
    assert min(frames) > 0.6
    assert max(frames) < 4.5
    rates = [(least + most) / 2 / neighbours for (least, most), neighbours in STRETCHES]
    assert (min(rates), max(rates)) == (0.75, 2.75)


def test_gradients_reach_the_embedding_through_the_prefix() -> None:
    embedding = nn.Embedding(16, 4)
    soft_prefixes(TEXTS, embedding, BLANK, np.random.default_rng(0))[0].sum().backward()
    assert embedding.weight.grad is not None
    assert embedding.weight.grad[5].abs().sum() > 0


def _one_hot() -> nn.Embedding:
    return nn.Embedding.from_pretrained(torch.eye(16))


def _tiny_weights(seed: int) -> torch.Tensor:
    torch.manual_seed(seed)
    tokenizer = new_tokenizer()
    model = new_llm(TINY, len(tokenizer))
    pretrain_llm(model, tokenizer, RECIPES["general"], Schedule(steps=2, peak_lr=1e-3), batch=4, seed=seed)
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
