"""Start, end and task tokens of each model family, from files as the families publish them (in miniature)."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import tokenizers

from scaling.base_models.encoders import asr_codec
from scaling.base_models.tokenizers import llm_codec
from scaling.errors import InputError

WHISPER_TOKENS = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|zh|>", "<|transcribe|>", "<|notimestamps|>"]


def write_model(folder: Path, specials: list[str], config: dict[str, Any], **others: dict[str, Any]) -> Path:
    """A directory with a tokenizer of `specials` and the letters a to d; ids in that order."""
    vocabulary = {token: number for number, token in enumerate([*specials, *"abcd"])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.add_special_tokens(specials)
    tokenizer.save(str(folder / "tokenizer.json"))
    for name, values in {"config": config, **others}.items():
        (folder / f"{name}.json").write_text(json.dumps(values))
    return folder


def test_a_multilingual_whisper_is_told_language_and_task(tmp_path):
    config = {"model_type": "whisper", "vocab_size": 51_865, "decoder_start_token_id": 1, "eos_token_id": 0}
    codec = asr_codec(write_model(tmp_path, WHISPER_TOKENS, config), "zh")
    assert [codec.tokenizer.id_to_token(token) for token in codec.prefix] == [
        "<|startoftranscript|>", "<|zh|>", "<|transcribe|>", "<|notimestamps|>",
    ]  # fmt: skip
    assert codec.targets("ab") == [6, 7, 0]


def test_an_english_whisper_is_told_neither_though_its_vocabulary_has_them(tmp_path):
    config = {"model_type": "whisper", "vocab_size": 51_864, "decoder_start_token_id": 1, "eos_token_id": 0}
    codec = asr_codec(write_model(tmp_path, WHISPER_TOKENS, config), "en")
    assert [codec.tokenizer.id_to_token(token) for token in codec.prefix] == [
        "<|startoftranscript|>", "<|notimestamps|>",
    ]  # fmt: skip


def test_what_the_generation_config_says_of_languages_counts_more_than_the_vocabulary(tmp_path):
    config = {"model_type": "whisper", "vocab_size": 60_000, "decoder_start_token_id": 1, "eos_token_id": 0}
    directory = write_model(tmp_path, WHISPER_TOKENS, config, generation_config={"is_multilingual": False})
    assert asr_codec(directory, "en").prefix == (1, 5)


def test_a_language_the_model_does_not_know_is_refused(tmp_path):
    config = {"model_type": "whisper", "vocab_size": 51_865, "decoder_start_token_id": 1, "eos_token_id": 0}
    directory = write_model(tmp_path, WHISPER_TOKENS, config)
    with pytest.raises(InputError, match="no language 'xx'"):
        asr_codec(directory, "xx")


@pytest.mark.parametrize(
    ("family", "specials", "config", "generation", "start", "end"),
    [
        ("Qwen2.5", ["<|endoftext|>", "<|im_end|>"], {"bos_token_id": 0, "eos_token_id": 0}, {}, 0, 0),
        ("Qwen3 chat", ["<|endoftext|>", "<|im_end|>"], {"bos_token_id": 0, "eos_token_id": 1}, {}, 0, 1),
        ("no start token", ["<|endoftext|>"], {"bos_token_id": None, "eos_token_id": 0}, {}, 0, 0),
        ("Llama 3.2", ["<|begin|>", "<|end|>", "<|eot|>"], {"bos_token_id": 0, "eos_token_id": [1, 2]}, {}, 0, 1),
        ("SmolLM2", ["<|endoftext|>", "<s>", "</s>"], {"bos_token_id": 1, "eos_token_id": 2}, {}, 1, 2),
        ("only generation", ["<s>", "</s>"], {}, {"bos_token_id": 0, "eos_token_id": 1}, 0, 1),
    ],
)  # fmt: skip
def test_start_and_end_tokens_are_the_familys_own(tmp_path, family, specials, config, generation, start, end):
    directory = write_model(tmp_path, specials, {"vocab_size": 100, **config}, generation_config=generation)
    codec = llm_codec(directory, "a{speech}b")
    letters = len(specials)
    assert codec.before == (letters,)
    assert codec.prefix == (letters + 1, start), "the text follows the start token"
    assert codec.targets("cd") == [letters + 2, letters + 3, end], "the end token is learnt, padding is not"
    assert codec.decode([letters + 2, end, letters + 3]) == "c", "what follows the end token is not text"


def test_the_tokenizer_of_a_larger_model_is_refused(tmp_path):
    directory = write_model(tmp_path, ["<s>", "</s>"], {"vocab_size": 5, "bos_token_id": 0, "eos_token_id": 1})
    with pytest.raises(InputError, match="6 tokens, more than the model's vocab_size 5"):
        llm_codec(directory, "{speech}")


@pytest.mark.parametrize(
    ("letters", "reason"),
    [
        ({"<unk>": 0, "a": 2}, "expected tokens with ids from 0 on"),
        ({"<unk>": 0, "a": "1b"}, "expected tokens with ids from 0 on"),
        ({"<pad>": 0, "a": 1}, "expected a token for unknown characters, one of <unk>"),
        ({"<unk>": 0, "a": 1, "b": 2}, "3 tokens, more than the model's vocab_size 2"),
    ],
)
def test_a_list_of_letters_that_cannot_serve_is_refused(tmp_path, letters, reason):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "wav2vec2", "vocab_size": 2}))
    (tmp_path / "vocab.json").write_text(json.dumps(letters))
    with pytest.raises(InputError, match=reason):
        asr_codec(tmp_path, "en")


def test_half_of_a_tokenizer_is_no_list_of_letters(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2", "eos_token_id": 0}))
    (tmp_path / "vocab.json").write_text('{"a": 0}')
    (tmp_path / "merges.txt").write_text("")
    with pytest.raises(InputError, match=r"no tokenizer\.json"):
        llm_codec(tmp_path, "{speech}")


def test_a_broken_tokenizer_is_refused(tmp_path):
    directory = write_model(tmp_path, ["<s>", "</s>"], {"vocab_size": 8, "bos_token_id": 0, "eos_token_id": 1})
    (directory / "tokenizer.json").write_text("{")
    with pytest.raises(InputError, match=r"tokenizer\.json: not a tokenizer"):
        llm_codec(directory, "{speech}")


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("whisper-base", ["<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>"]),
        ("whisper-tiny.en", ["<|startoftranscript|>", "<|notimestamps|>"]),
    ],
)
def test_published_whispers_are_started_as_their_authors_start_them(name, prefix):
    directory = Path(os.environ.get("ASR_SCALING_CHECKPOINTS", "")) / name
    if not directory.is_dir():
        pytest.skip(f"ASR_SCALING_CHECKPOINTS names no folder with {name}")
    codec = asr_codec(directory, "en")
    assert [codec.tokenizer.id_to_token(token) for token in codec.prefix] == prefix
    assert codec.tokenizer.id_to_token(codec.end) == "<|endoftext|>"
    assert codec.decode(codec.targets(" Printing, in the only sense")) == " Printing, in the only sense"
