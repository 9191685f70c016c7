"""A study's surroundings without torch: noise as speech, models that are dimensions, tokenizers and some bytes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from tokenizers import Tokenizer, models, pre_tokenizers

StudyWriter = Callable[..., Path]


def study_fields(surroundings: Path) -> dict[str, Any]:
    return {
        "name": "small",
        "budgets_flops": [2_000_000_000, 4_000_000_000, 8_000_000_000],
        "models": [{"encoder": str(surroundings / "encoder"), "llm": str(surroundings / "llm")}],
        "strategies": ["efin", "joint"],
        "language": "zh",
        "data": {
            "train": str(surroundings / "train.jsonl"),
            "dev": str(surroundings / "dev.jsonl"),
            "test": {"clean": str(surroundings / "test.jsonl")},
        },
    }


def write_manifest(folder: Path, name: str, utterances: int, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    (folder / name).mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(utterances):
        audio = 0.1 * rng.standard_normal(int(rng.integers(4_000, 12_000)))
        soundfile.write(folder / name / f"{number}.wav", audio, 16_000)
        text = "".join(rng.choice(list("abcdefgh"), int(rng.integers(2, 9))))
        rows.append({"audio_filepath": f"{name}/{number}.wav", "duration": 1.0, "text": text, "speaker": "s"})
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_model(folder: Path, config: dict[str, Any]) -> None:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(json.dumps(config).encode())  # weights are only digested here
    vocabulary = {token: number for number, token in enumerate(["<unk>", "<s>", "</s>", *"abcdefgh"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.save(str(folder / "tokenizer.json"))


SPECIAL = {"vocab_size": 11, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
ENCODER = {
    "model_type": "whisper",
    "num_mel_bins": 80,
    "d_model": 32,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 64,
    "max_source_positions": 1500,
    "max_target_positions": 64,
    **SPECIAL,
}
LLM = {
    "model_type": "qwen2",
    "hidden_size": 32,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "tie_word_embeddings": True,
    **SPECIAL,
}
