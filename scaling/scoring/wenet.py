"""Words as WeNet's `compute-wer.py --char=1` counts them, so that its error rates can be compared to the last error.

Little is normalised: letters become capitals, tags in angle brackets and seventeen marks of punctuation go. A letter of
a script without case (Unicode category Lo: Han, Kana, Hangul and others) is a word; anything else begins a word that
goes on through ASCII up to a space. Marks inside such a word stay, full and half width differ, and round brackets
count.
"""

import re
import unicodedata

PUNCTUATION = frozenset("!,?、。！，；？：「」︰『』《》")

_TAG = re.compile(r"<[^\s>\x80-\U0010ffff]*>?")
_RUN = re.compile(r"[^ \t\r\n\x80-\U0010ffff]*")
_TAGS = re.compile(r"<[^>]*>?")


def wenet(text: str) -> list[str]:
    """Words of `text`.

    >>> wenet("打开Let It Go，<noise>(成都)")
    ['打', '开', 'LET', 'IT', 'GO', '(', '成', '都', ')']
    """
    upper = (_TAGS.sub("", word.upper()) for word in _words(text))
    return [word for word in upper if word]


def _words(text: str) -> list[str]:
    words, at = [], 0
    while at < len(text):
        end = _end(text, at)
        if not _skipped(text[at]):
            words.append(text[at:end])
        at = end
    return words


def _skipped(char: str) -> bool:
    return char in PUNCTUATION or char in " \t\r\n" or unicodedata.category(char) in ("Zs", "Cn")


def _end(text: str, at: int) -> int:
    """Where the word that begins at `at` ends."""
    char = text[at]
    if _skipped(char) or unicodedata.category(char) == "Lo":
        return at + 1
    rest = (_TAG if char == "<" else _RUN).match(text, at if char == "<" else at + 1)
    return at + 1 if rest is None else rest.end()
