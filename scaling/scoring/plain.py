"""The plain normaliser, for any language: case, width, punctuation and symbols are removed; numbers stay as written."""

import functools
import re
import unicodedata

from scaling.scoring.words import split

APOSTROPHES = (
    "'`\u00b4\u02b9\u02bb\u02bc\u02bd\u02be\u02bf\u02c8\u02cb\u055a\u05f3\u07f4"
    "\u1fbd\u1fbf\u2018\u2019\u201b\u2032\ua78b\ua78c"
)
"""Characters that people type for an apostrophe: quotation marks, primes, and letters of Unicode that look like it."""

DASHES = "\u02d7\u2043\u2212"
"""Dashes outside of Unicode's category Pd: modifier minus, hyphen bullet, minus sign."""

SEPARATORS = "/\\\u2044\u2215,\u060c\u3001"
"""Slashes and commas: like dashes, they separate words even without a space."""

POINTS = ".\u00b7\u066b"
"""Decimal points, where they stand between two digits: full stop, middle dot, Arabic decimal separator."""

THOUSANDS = ",'\u066c"
"""What groups the digits of a number by three."""

_ONE_APOSTROPHE = str.maketrans(dict.fromkeys(APOSTROPHES, "'"))
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]"
)
"""Unicode's Default_Ignorable_Code_Point: zero-width marks, variation selectors, fillers."""

_GROUPED = re.compile(
    rf"(?<![\d{POINTS}{THOUSANDS}])\d{{1,3}}(?:([{THOUSANDS}])\d{{3}})(?:\1\d{{3}})*(?![{THOUSANDS}]?\d)"
)
_POINT = re.compile(rf"(?<=\d)[{POINTS}](?=\d)")
_NO_POINT = re.compile(r"(?<!\d)\.|\.(?!\d)")
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[^\w\s.]+(?=\d)")


def plain(text: str) -> list[str]:
    """The words of `text` in Unicode NFKC (full and half width become the same) and lower case, without punctuation.

    Dashes, slashes and commas separate words. Of numbers the decimal point stays, commas between thousands go, and any
    other mark between two digits separates: `1.5` is not `15`, and `10:30` is not `1030`.

    >>> plain("今天，Ｈello  World！ and/or 1,000.5—isn't it")
    ['今', '天', 'hello', 'world', 'and', 'or', '1000.5', 'isnt', 'it']
    """
    return split(unmarked(folded(text)))


def folded(text: str) -> str:
    """`text` in NFKC and lower case, with one kind of apostrophe and without characters that have no width."""
    return _UNSEEN.sub("", unicodedata.normalize("NFKC", text.translate(_ONE_APOSTROPHE)).lower())


def unmarked(text: str) -> str:
    """Folded `text` without punctuation, symbols, enclosing marks and control characters (categories P, S, Me, C)."""
    text = _GROUPED.sub(lambda number: re.sub(f"[{THOUSANDS}]", "", number[0]), text)
    text = _NO_POINT.sub("", _POINT.sub(".", text))
    return "".join(map(_unmarked, _BETWEEN_DIGITS.sub(" ", text)))


@functools.cache
def _unmarked(char: str) -> str:
    """The character itself, a space for characters that separate words, or nothing for a mark."""
    category = unicodedata.category(char)
    if char.isspace() or category == "Pd" or char in DASHES + SEPARATORS:
        return " "
    return "" if char != "." and (category[0] in "PSC" or category == "Me") else char
