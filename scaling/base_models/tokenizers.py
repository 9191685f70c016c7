"""Text to token ids and back, from the tokenizer files of a model directory, without torch or transformers.

The encoder writes text by its own objective (see `scaling.base_models.encoders`), and so does the LLM. Each has its own
tokenizer, a prefix that the text follows and, except for CTC, an end token that it learns to write.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from scaling.errors import InputError
from scaling.system.json_files import read_json

UNKNOWN = ("<unk>", "[UNK]")
"""Names of the token for characters that a list of letters lacks."""

WORD_DELIMITER = "|"
"""The token between words in a list of letters (the convention of wav2vec 2.0)."""


@dataclass(frozen=True, slots=True)
class TextCodec:
    """How a model writes text as token ids.

    The text follows `prefix`, whose last token predicts the first token of the text. `before` is the part of an LLM
    prompt that precedes the speech. `end` is the end token, None for CTC.
    """

    tokenizer: tokenizers.Tokenizer = field(repr=False)
    before: tuple[int, ...]
    prefix: tuple[int, ...]
    end: int | None

    @property
    def prompt_tokens(self) -> int:
        """Positions of the prompt, without the speech and without one start token, which the text's count includes."""
        return len(self.before) + len(self.prefix) - 1

    def targets(self, text: str) -> list[int]:
        """The token ids that the model must write: those of the text, then the end token if there is one."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids if self.end is None else [*ids, self.end]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids that a model wrote, up to its end token."""
        text_ids = list(ids)
        if self.end in text_ids:
            text_ids = text_ids[: text_ids.index(self.end)]
        return str(self.tokenizer.decode(text_ids, skip_special_tokens=True))


def llm_codec(directory: Path, prompt: str) -> TextCodec:
    """The codec of an LLM. `prompt` has `{speech}` in the place of the speech; it may contain special tokens.

    A prompt with `{text}` is a whole conversation (see `scaling.base_models.chat_template`): it gives the place of the
    text and, behind it, the one token that ends the text. Without `{text}`, the text ends with the LLM's end token, and
    the prefix ends with its start token or, where it has none (Qwen), with its end token, which separated documents in
    pretraining. Raises InputError where more or less than one token follows `{text}`.
    """
    settings = model_settings(directory)
    tokenizer = load_tokenizer(tokenizer_file(directory), settings.get("vocab_size"))

    def ids(text: str) -> tuple[int, ...]:
        return tuple(tokenizer.encode(text, add_special_tokens=False).ids)

    before, _, after = prompt.partition("{speech}")
    if "{text}" in before or after.count("{text}") > 1:
        raise InputError(f"prompt {prompt!r}: expected {{text}}, if at all, once and behind {{speech}}")
    if "{text}" in after:
        between, _, ending = after.partition("{text}")
        if len(ids(ending)) != 1:
            raise InputError(f"{directory}: {ending!r}, which ends the text, must be one token of the LLM")
        return TextCodec(tokenizer, ids(before), ids(between), ids(ending)[0])
    end, start = token_id(settings, directory, "eos_token_id"), settings.get("bos_token_id")
    return TextCodec(tokenizer, ids(before), (*ids(after), start if isinstance(start, int) else end), end)


def find_tokenizer(directory: Path) -> Path | None:
    """The tokenizer file of a model: a fast tokenizer, or a list of letters (CTC models). None without one."""
    if (directory / "tokenizer.json").is_file():
        return directory / "tokenizer.json"
    letters = directory / "vocab.json"  # beside merges.txt it is half of a tokenizer and no list of letters
    return letters if letters.is_file() and not (directory / "merges.txt").is_file() else None


def tokenizer_file(directory: Path) -> Path:
    """The tokenizer file of a model. Raises InputError where there is none."""
    path = find_tokenizer(directory)
    if path is None:
        raise InputError(f"{directory}: no tokenizer.json; save the model's fast tokenizer beside its weights")
    return path


def load_tokenizer(path: Path, vocabulary: int | None = None) -> tokenizers.Tokenizer:
    """The tokenizer in a file. Raises InputError where the file holds none, or more tokens than `vocabulary`."""
    try:
        tokenizer = _letters(path) if path.name == "vocab.json" else tokenizers.Tokenizer.from_file(str(path))
    except InputError:
        raise
    except Exception as error:  # the library raises nothing more specific
        raise InputError(f"{path}: not a tokenizer ({error})") from error
    size = tokenizer.get_vocab_size(with_added_tokens=False)
    if isinstance(vocabulary, int) and size > vocabulary:
        raise InputError(f"{path}: {size} tokens, more than the model's vocab_size {vocabulary}; of another model?")
    return tokenizer


def model_settings(directory: Path) -> dict[str, Any]:
    """The settings in config.json and generation_config.json, those of config.json first."""
    return _config(directory, "generation_config.json") | _config(directory, "config.json")


def token_id(settings: dict[str, Any], directory: Path, name: str) -> int:
    """The id of a special token, the first where there are several. Raises InputError where the setting is no id."""
    value = settings.get(name)
    value = value[0] if isinstance(value, list) and value else value
    if not isinstance(value, int):
        raise InputError(f"{directory}/config.json: {name} must be a token id, not {value!r}")
    return value


def _letters(path: Path) -> tokenizers.Tokenizer:
    """A tokenizer of single characters, in either case unless the list has both; others are the unknown token."""
    vocabulary = read_json(path)
    if sorted(map(str, vocabulary.values())) != sorted(map(str, range(len(vocabulary)))):
        raise InputError(f"{path}: expected tokens with ids from 0 on, each once")
    unknown = next((token for token in UNKNOWN if token in vocabulary), None)
    if unknown is None:
        raise InputError(f"{path}: expected a token for unknown characters, one of {', '.join(UNKNOWN)}")
    letters = [token for token in vocabulary if len(token) == 1]
    other_case = [
        normalizers.Replace(other, letter)
        for letter in letters
        for other in {letter.lower(), letter.upper()} - vocabulary.keys()
        if len(other) == 1
    ]
    spaces = [normalizers.Replace(" ", WORD_DELIMITER)] if WORD_DELIMITER in vocabulary else []
    tokenizer = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Strip(), *spaces, *other_case])
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.add_special_tokens([token for token in vocabulary if len(token) > 1])
    tokenizer.decoder = decoders.Sequence([decoders.Replace(WORD_DELIMITER, " "), decoders.Fuse()])
    return tokenizer


def _config(directory: Path, name: str) -> dict[str, Any]:
    path = directory / name
    return {key: value for key, value in read_json(path).items() if value is not None} if path.exists() else {}
