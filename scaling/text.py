"""Text to token ids and back, from the tokenizer files of a model directory, without torch or transformers.

Two readers of the same text: the encoder-decoder (its own objective) and the LLM. Each has a prefix it is started
with, and an end token it must learn to write.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tokenizers

from scaling.errors import InputError
from scaling.ledger import read_json

WHISPER_TASK = "<|transcribe|>"
WHISPER_PLAIN = "<|notimestamps|>"
WHISPER_MULTILINGUAL_VOCABULARY = 51_865
"""The vocabulary of the multilingual Whisper models, the smallest first; the English ones have one token less (and the
language tokens too, but never learned them), and OpenAI's own code tells them apart by it."""


@dataclass(frozen=True, slots=True)
class TextCodec:
    """How one model writes text.

    `prefix` is what the text follows: the last of its tokens predicts the first token of the text. `before` is the
    part of an LLM prompt that precedes the speech.
    """

    tokenizer: tokenizers.Tokenizer = field(repr=False)
    before: tuple[int, ...]
    prefix: tuple[int, ...]
    end: int

    def targets(self, text: str) -> list[int]:
        """Token ids the model must write: the text, then the end token."""
        return [*self.tokenizer.encode(text, add_special_tokens=False).ids, self.end]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of what a model wrote, up to its end token."""
        written = list(ids)
        if self.end in written:
            written = written[: written.index(self.end)]
        return str(self.tokenizer.decode(written, skip_special_tokens=True))


def asr_codec(directory: Path, language: str) -> TextCodec:
    """The encoder-decoder's codec. `language` is a Whisper code (`zh`, `en`) used where the model knows languages.

    The prefix is the start token, then for multilingual models language and task, then no-timestamps, as far as the
    vocabulary has them. Raises InputError on another language than a model knows.
    """
    config = _config(directory, "generation_config.json") | _config(directory, "config.json")
    tokenizer = _tokenizer(directory, config)
    start = _first(config, directory, "decoder_start_token_id")
    multilingual = config.get("is_multilingual", config.get("vocab_size", 0) >= WHISPER_MULTILINGUAL_VOCABULARY)
    wanted = [f"<|{language}|>", WHISPER_TASK, WHISPER_PLAIN] if multilingual else [WHISPER_PLAIN]
    ids = {token: tokenizer.token_to_id(token) for token in wanted}
    if multilingual and ids[wanted[0]] is None:
        raise InputError(f"{directory}: the encoder's tokenizer has no language {language!r}")
    prefix = (start, *(number for number in ids.values() if number is not None))
    return TextCodec(tokenizer, (), prefix, _first(config, directory, "eos_token_id"))


def llm_codec(directory: Path, prompt: str) -> TextCodec:
    """The LLM's codec. `prompt` is plain text with `{speech}` where the speech goes; nothing else by default.

    The prefix ends with the LLM's start token, or, where it has none (Qwen), with its end token, the separator
    between documents it was pretrained with.
    """
    config = _config(directory, "generation_config.json") | _config(directory, "config.json")
    tokenizer = _tokenizer(directory, config)
    end = _first(config, directory, "eos_token_id")
    start = config.get("bos_token_id")
    before, _, after = prompt.partition("{speech}")
    return TextCodec(
        tokenizer,
        tuple(tokenizer.encode(before, add_special_tokens=False).ids),
        (*tokenizer.encode(after, add_special_tokens=False).ids, start if isinstance(start, int) else end),
        end,
    )


def _tokenizer(directory: Path, config: dict[str, Any]) -> tokenizers.Tokenizer:
    path = directory / "tokenizer.json"
    if not path.exists():
        raise InputError(f"{directory}: no tokenizer.json; save the model's fast tokenizer beside its weights")
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing more specific
        raise InputError(f"{path}: not a tokenizer ({error})") from error
    size, vocabulary = tokenizer.get_vocab_size(with_added_tokens=False), config.get("vocab_size")
    if isinstance(vocabulary, int) and size > vocabulary:
        raise InputError(f"{path}: {size} tokens, more than the model's vocab_size {vocabulary}; of another model?")
    return tokenizer


def _config(directory: Path, name: str) -> dict[str, Any]:
    path = directory / name
    return {key: value for key, value in read_json(path).items() if value is not None} if path.exists() else {}


def _first(config: dict[str, Any], directory: Path, name: str) -> int:
    value = config.get(name)
    value = value[0] if isinstance(value, list) and value else value
    if not isinstance(value, int):
        raise InputError(f"{directory}/config.json: {name} must be a token id, not {value!r}")
    return value
