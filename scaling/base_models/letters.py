"""An alphabet of single characters, which a fresh CTC head writes: those of the training texts."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from unicodedata import normalize

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from scaling.keys import text_digest

BLANK, UNKNOWN = 0, 1
"""Ids of CTC's blank, and of what the alphabet lacks."""

SPECIAL = ("<blank>", "<unk>")


@dataclass(frozen=True, slots=True)
class Letters:
    """Characters by their ids, which follow those of `SPECIAL`; none for an encoder that writes nothing."""

    characters: str

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """The characters of some texts in the order of Unicode, compatible forms (NFKC) as one."""
        found = set[str]()
        for text in texts:
            found.update(normalize("NFKC", text.strip()))
        return cls("".join(sorted(found)))

    @classmethod
    def of_tokenizer(cls, tokenizer: tokenizers.Tokenizer) -> Self:
        """The inverse of `tokenizer()`."""
        ids = tokenizer.get_vocab()
        return cls("".join(sorted(ids.keys() - set(SPECIAL), key=ids.__getitem__)))

    @property
    def digest(self) -> str:
        """Names the alphabet in keys."""
        return text_digest(self.characters)

    def tokenizer(self) -> tokenizers.Tokenizer:
        """A tokenizer of single characters; characters that the alphabet lacks become the unknown token."""
        ids = {token: number for number, token in enumerate((*SPECIAL, *self.characters))}
        tokenizer = tokenizers.Tokenizer(models.WordLevel(ids, unk_token=SPECIAL[UNKNOWN]))
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Strip()])
        tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
        tokenizer.add_special_tokens(list(SPECIAL))
        tokenizer.decoder = decoders.Fuse()
        return tokenizer


NOTHING = Letters("")
"""The alphabet of an encoder without an objective of its own."""

TokenSource = Path | Letters | None
"""Where the tokens of a model's texts come from: the model's directory, an alphabet, or, for None, an estimate."""
