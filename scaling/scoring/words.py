"""The words of a text: a Han or Kana character is one, elsewhere what stands between spaces is one.

So the word error rate of Chinese is its character error rate, and that of mixed script is the mixed error rate (MER):
`打开bluetooth设备` has five words.
"""

import functools
import unicodedata
from collections.abc import Sequence


def split(text: str) -> list[str]:
    """The words of `text`.

    >>> split("打开bluetooth 设备")
    ['打', '开', 'bluetooth', '设', '备']
    """
    parted = "".join(f" {char} " if unspaced(char) else char for char in text)
    return parted.split()


def spaced(words: Sequence[str]) -> str:
    """The text of words, whose characters are counted: one space between two words of a script written with spaces.

    >>> spaced(["打", "开", "hello", "world"])
    '打开hello world'
    """
    text = ""
    for word in words:
        beside = not text or unspaced(text[-1]) or unspaced(word[0])
        text += word if beside else f" {word}"
    return text


@functools.cache
def unspaced(char: str) -> bool:
    """Whether the character belongs to a script written without spaces, in which each character is a word."""
    return unicodedata.name(char, "").startswith(("CJK", "HIRAGANA", "KATAKANA", "IDEOGRAPHIC"))
