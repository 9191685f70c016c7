"""The plain normaliser, for any language: case, width, punctuation and symbols are removed; numbers stay as written."""

import functools
import unicodedata

from scaling.scoring.words import split


def plain(text: str) -> list[str]:
    """The words of `text` in Unicode NFKC (full and half width become the same) and lower case, without punctuation.

    A hyphen separates words.

    >>> plain("今天，Ｈello  World！")
    ['今', '天', 'hello', 'world']
    """
    return split(unmarked(unicodedata.normalize("NFKC", text).lower()))


def unmarked(text: str) -> str:
    """`text` without punctuation, symbols and control characters (Unicode categories P, S, C)."""
    return "".join(map(_unmarked, text))


@functools.cache
def _unmarked(char: str) -> str:
    """The character itself, a space for characters that separate words, or nothing for a mark."""
    if char.isspace() or char == "-":
        return " "
    return "" if unicodedata.category(char)[0] in "PSC" else char
