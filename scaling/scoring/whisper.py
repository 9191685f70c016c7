"""Whisper's normalisers (Radford et al., 2022, appendix C), by the library `whisper-normalizer`, without torch.

The English normaliser also writes numbers in digits, expands contractions, uses American spelling and removes
hesitations; the basic one is for every other language. Both remove text in brackets.
"""

import functools
from typing import Any

from scaling.scoring.words import split


def whisper_english(text: str) -> list[str]:
    """The normalised words of English `text`.

    >>> whisper_english("Mr. Smith won't paint twenty-one [noise] dogs in colour")
    ['mister', 'smith', 'will', 'not', 'paint', '21', 'dogs', 'in', 'color']
    """
    return split(_english()(text))


def whisper_basic(text: str) -> list[str]:
    """The normalised words of `text` in any language.

    >>> whisper_basic("Così è, (bene) se vi pare!")
    ['così', 'è', 'se', 'vi', 'pare']
    """
    return split(_basic()(text))


@functools.cache
def _english() -> Any:
    from whisper_normalizer.english import EnglishTextNormalizer

    return EnglishTextNormalizer()


@functools.cache
def _basic() -> Any:
    from whisper_normalizer.basic import BasicTextNormalizer

    return BasicTextNormalizer()
