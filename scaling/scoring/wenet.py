"""The normaliser of WeNet's `compute-wer.py --char=1`, with exactly the same error counts.

Little is normalised: letters become capitals; tags in angle brackets and seventeen punctuation marks are removed. A
letter of a script without case (Unicode category Lo: Han, Kana, Hangul and others) is a word. Any other character
begins a word that continues through ASCII characters up to a space. Marks inside such a word are kept, full and half
width differ, and round brackets count.
"""

import re
import unicodedata

PUNCTUATION = frozenset("!,?、。！，；？：「」︰『』《》")

_TAG = re.compile(r"<[^\s>\x80-\U0010ffff]*>?")
_RUN = re.compile(r"[^ \t\r\n\x80-\U0010ffff]*")
_TAGS = re.compile(r"<[^>]*>?")


def wenet(text: str) -> list[str]:
    """The words of `text`.

    >>> wenet("打开Let It Go，<noise>(成都)")
    ['打', '开', 'LET', 'IT', 'GO', '(', '成', '都', ')']
    """
    upper = (_TAGS.sub("", word.upper()) for word in _words(text))
    return [word for word in upper if word]


def _words(text: str) -> list[str]:
    words, start = [], 0
    while start < len(text):
        end = _word_end(text, start)
        if not _is_skipped(text[start]):
            words.append(text[start:end])
        start = end
    return words


def _is_skipped(char: str) -> bool:
    return char in PUNCTUATION or char in " \t\r\n" or unicodedata.category(char) in ("Zs", "Cn")


def _word_end(text: str, start: int) -> int:
    """The end of the word that begins at `start`."""
    char = text[start]
    if _is_skipped(char) or unicodedata.category(char) == "Lo":
        return start + 1
    rest = (_TAG if char == "<" else _RUN).match(text, start if char == "<" else start + 1)
    return start + 1 if rest is None else rest.end()
