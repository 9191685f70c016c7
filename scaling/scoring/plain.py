"""The plain normaliser: what differs between writers of the same words goes, in any language.

Numbers stay as written.
"""

import functools
import unicodedata

from scaling.scoring.words import split


def plain(text: str) -> list[str]:
    """Words after Unicode NFKC (full and half width become one), lower case, and without punctuation and symbols.

    A hyphen parts words.

    >>> plain("今天，Ｈello  World！")
    ['今', '天', 'hello', 'world']
    """
    return split(unmarked(unicodedata.normalize("NFKC", text).lower()))


def unmarked(text: str) -> str:
    """`text` without punctuation, symbols and control characters (Unicode categories P, S, C)."""
    return "".join(map(_unmarked, text))


@functools.cache
def _unmarked(char: str) -> str:
    """What stays of a character: a space where words are parted, nothing where it is a mark."""
    if char.isspace() or char == "-":
        return " "
    return "" if unicodedata.category(char)[0] in "PSC" else char
