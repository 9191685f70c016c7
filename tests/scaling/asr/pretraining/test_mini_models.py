"""The miniature base models that are shipped: ordinary directories, small, and what their records say they are."""

import json
from pathlib import Path

import pytest
import soundfile
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, WhisperForConditionalGeneration

from scaling.asr.model.log_mel import LogMel
from scaling.asr.pretraining import mini_llm as base_llm
from scaling.asr.pretraining.mini_encoder import encoder_cer, read_corpus
from scaling.asr.pretraining.mini_llm import llm_losses
from scaling.asr.pretraining.mini_models import ENCODERS, LLMS, MEL_BINS, new_tokenizer
from scaling.base_models.lookup import MINIS, find_encoder, find_llm
from scaling.speech.synthetic.recipes import RECIPES, render, utterances

NAMES = ["mini-s", "mini-m", "mini-l"]
DIRECTORIES = [MINIS / kind / name for kind in ("encoders", "llms") for name in NAMES]
STRANGE_TEXT = "打开 the 灯, 龘 é <s 9 \N{GRINNING FACE}"


def test_all_minis_together_are_smaller_than_25_megabytes() -> None:
    assert sum(path.stat().st_size for path in MINIS.rglob("*") if path.is_file()) < 25e6


@pytest.mark.parametrize("directory", DIRECTORIES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_mini_is_a_half_precision_hugging_face_directory(directory: Path) -> None:
    config = json.loads((directory / "config.json").read_text())
    assert config["pad_token_id"] != config["eos_token_id"]
    assert config["vocab_size"] % 8 == 0
    with safe_open(directory / "model.safetensors", framework="pt") as weights:
        tensors = [weights.get_tensor(name) for name in weights.keys()]  # noqa: SIM118 (not a mapping)
    assert {tensor.dtype for tensor in tensors} == {torch.float16}
    assert all(tensor.isfinite().all() for tensor in tensors)


@pytest.mark.parametrize("directory", DIRECTORIES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_any_text_comes_back_from_the_tokenizer_as_it_was(directory: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(directory)
    for text in (STRANGE_TEXT, "三一四", "turn on the light", "a  b"):
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text
    assert len(tokenizer.encode("三一四", add_special_tokens=False)) == 3
    assert len(tokenizer) <= json.loads((directory / "config.json").read_text())["vocab_size"]


def test_the_shipped_tokenizer_is_the_one_the_grammars_give() -> None:
    shipped = AutoTokenizer.from_pretrained(MINIS / "llms" / "mini-s")
    assert shipped.get_vocab() == new_tokenizer().get_vocab()


@pytest.mark.parametrize("directory", DIRECTORIES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_the_record_of_its_making_says_how_long_it_learnt_and_how_well(directory: Path) -> None:
    making = json.loads((directory / "making.json").read_text())
    assert {"schema", "recipe", "seed", "steps", "peak_lr", "flops", "loss", "parameters"} <= set(making)
    if directory.parent.name == "encoders":
        assert making["dev_cer"]["general-zh-digits"] < 0.05
        assert making["dev_cer"]["synthetic-zh-digits"] > 0.3  # the shift is strong
    else:
        nats = making["held_out_nats"]["general-zh-digits"]
        assert nats["soft_copy"] < nats["text"] / 2  # it reads its prefix


@pytest.mark.parametrize("name", NAMES)
def test_the_core_sees_the_sizes_of_the_minis(name: str) -> None:
    encoder, llm = find_encoder(name), find_llm(name)
    assert (encoder.dims.width, encoder.dims.layers, encoder.dims.hop_length) == (
        ENCODERS[name].width,
        ENCODERS[name].encoder_layers,
        320,
    )
    assert (llm.dims.width, llm.dims.layers, llm.dims.tied) == (LLMS[name].width, LLMS[name].layers, True)
    making = json.loads((MINIS / "encoders" / name / "making.json").read_text())
    assert making["parameters"] == encoder.dims.encoder_params + encoder.dims.asr_decoder_params
    assert encoder.pretrain_flops == making["flops"]
    assert encoder.dims.max_audio_seconds == 30
    assert encoder.dims.mel_bins == MEL_BINS


def test_the_largest_llm_is_many_times_larger_than_the_smallest_encoder() -> None:
    assert find_llm("mini-l").dims.params > 10 * find_encoder("mini-s").dims.encoder_params


def test_an_encoder_transcribes_digits_of_its_own_domain(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader", reason="the synthesiser is an optional extra: asr-scaling[synth]")
    directory = MINIS / "encoders" / "mini-m"
    files = []
    for number, drawn in enumerate(utterances(RECIPES["general-zh-digits"], "test", start=0, stop=100, seed=1)):
        files.append((tmp_path / f"{number}.wav", drawn.request.text))
        soundfile.write(files[-1][0], render(drawn), 16_000, subtype="PCM_16")
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = WhisperForConditionalGeneration.from_pretrained(directory, dtype=torch.float32).eval()
    assert encoder_cer(model, read_corpus(files, LogMel.from_directory(directory), tokenizer), tokenizer) < 0.05


def test_an_llm_reads_soft_prefixes_of_texts_it_has_never_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_llm, "HELD_OUT_BATCHES", 5)
    directory = MINIS / "llms" / "mini-s"
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    losses = llm_losses(model, AutoTokenizer.from_pretrained(directory), RECIPES["general-zh-digits"], seed=9)
    assert losses["soft_copy"] < losses["text"] / 2
