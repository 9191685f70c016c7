"""The words of a text: each Han or Kana character is a word, and so is each run of other characters between spaces.

The word error rate of Chinese is therefore its character error rate, and that of mixed script is the mixed error rate
(MER): `打开bluetooth设备` has five words.
"""

import functools
import unicodedata
from collections.abc import Sequence


def split(text: str) -> list[str]:
    """The words of `text`.

    >>> split("打开bluetooth 设备")
    ['打', '开', 'bluetooth', '设', '备']
    """
    return "".join(f" {char} " if is_word(char) else char for char in text).split()


def spaced(words: Sequence[str]) -> str:
    """The words as one text, with one space between two words of scripts that are written with spaces.

    >>> spaced(["打", "开", "hello", "world"])
    '打开hello world'
    """
    text = ""
    for word in words:
        no_space = not text or is_word(text[-1]) or is_word(word[0])
        text += word if no_space else f" {word}"
    return text


@functools.cache
def is_word(char: str) -> bool:
    """Whether a character is a word of its own, because its script is written without spaces."""
    return unicodedata.name(char, "").startswith(("CJK", "HIRAGANA", "KATAKANA", "IDEOGRAPHIC"))
