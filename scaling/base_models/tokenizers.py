"""Text to token ids and back, from the tokenizer files of a model directory, without torch or transformers.

Two readers of the same text: the speech model (its own objective, see `scaling.base_models.encoders`) and the LLM. Each has a
prefix it is started with, and an end token it must learn to write.
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
"""What stands for a character that a list of letters lacks."""

WORD_DELIMITER = "|"
"""What stands between words in a list of letters (wav2vec 2.0's convention)."""


@dataclass(frozen=True, slots=True)
class TextCodec:
    """How one model writes text.

    `prefix` is what the text follows: the last of its tokens predicts the first token of the text. `before` is the
    part of an LLM prompt that precedes the speech. `end` is None where text has no end token (CTC).
    """

    tokenizer: tokenizers.Tokenizer = field(repr=False)
    before: tuple[int, ...]
    prefix: tuple[int, ...]
    end: int | None

    @property
    def prompt_tokens(self) -> int:
        """Positions of the prompt beside speech and text, whose count already pays for one start token."""
        return len(self.before) + len(self.prefix) - 1

    def targets(self, text: str) -> list[int]:
        """Token ids the model must write: the text, then the end token if there is one."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids if self.end is None else [*ids, self.end]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of what a model wrote, up to its end token."""
        written = list(ids)
        if self.end in written:
            written = written[: written.index(self.end)]
        return str(self.tokenizer.decode(written, skip_special_tokens=True))


def llm_codec(directory: Path, prompt: str) -> TextCodec:
    """The LLM's codec. `prompt` is text with `{speech}` where the speech goes; special tokens may be written in it.

    A prompt with `{text}` is a whole conversation (see `scaling.base_models.chat_template`): it says where the text goes and, by the one
    token that follows, how it ends. Without, the text ends with the LLM's end token, and the prefix ends with its start
    token, or, where it has none (Qwen), with its end token, the separator between documents it was pretrained with.
    Raises InputError where what follows `{text}` is not one token.
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
    """The file that holds a model's tokens: a fast tokenizer, or (CTC models) a list of letters. None without one."""
    if (directory / "tokenizer.json").is_file():
        return directory / "tokenizer.json"
    letters = directory / "vocab.json"  # with merges beside it, it is half of a tokenizer, and no list of letters
    return letters if letters.is_file() and not (directory / "merges.txt").is_file() else None


def tokenizer_file(directory: Path) -> Path:
    """The file that holds a model's tokens. Raises InputError where there is none."""
    path = find_tokenizer(directory)
    if path is None:
        raise InputError(f"{directory}: no tokenizer.json; save the model's fast tokenizer beside its weights")
    return path


def load_tokenizer(path: Path, vocabulary: int | None = None) -> tokenizers.Tokenizer:
    """The tokenizer in a file. Raises InputError where it is none, or has more tokens than `vocabulary`."""
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
    """What config.json and generation_config.json say; the first counts more."""
    return _config(directory, "generation_config.json") | _config(directory, "config.json")


def token_id(settings: dict[str, Any], directory: Path, name: str) -> int:
    """A special token's id, the first where there are several. Raises InputError where it is none."""
    value = settings.get(name)
    value = value[0] if isinstance(value, list) and value else value
    if not isinstance(value, int):
        raise InputError(f"{directory}/config.json: {name} must be a token id, not {value!r}")
    return value


def _letters(path: Path) -> tokenizers.Tokenizer:
    """A tokenizer of single characters; one that the list lacks is the unknown token.

    A letter that the list has in one case only stands for both.
    """
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
