"""The plain normaliser: what differs between writers of the same words goes, in any language.

Numbers stay as written.
"""

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
    return "".join(" " if _separates(char) else char for char in text if not _ignored(char))


def _ignored(char: str) -> bool:
    return unicodedata.category(char)[0] in "PSC" and not _separates(char)


def _separates(char: str) -> bool:
    return char.isspace() or char == "-"
