"""The Mandarin normaliser: one writing for each thing that can be said, as far as stated rules go.

In order: full and half width become one (NFKC); lower case; marks of noise in square or angle brackets go (`[n]`,
`<unk>`), while round brackets lose the brackets alone, because what they hold is spoken (`远东百货(驴马市店)`);
traditional characters become simplified ones (OpenCC's `t2s`); numbers are read out (`scaling.scoring.numerals`);
punctuation and symbols go; letters spelled one by one become one word (`N B D` is `NBD`).
"""

import functools
import re
import unicodedata
from typing import Any

from scaling.scoring.numerals import read_out
from scaling.scoring.plain import unmarked
from scaling.scoring.words import split

_NOISE = re.compile(r"<[^<>]*>|\[[^\[\]]*\]")
_SPELLED = re.compile(r"(?<![a-z])[a-z](?: +[a-z](?![a-z]))+")


def mandarin(text: str) -> list[str]:
    """Words of `text`: characters, and Latin words between them.

    >>> mandarin("歡迎收聽[n]N B D，2013年10月的８.5折")
    ['欢', '迎', '收', '听', 'nbd', '二', '零', '一', '三', '年', '十', '月', '的', '八', '点', '五', '折']
    """
    folded = _NOISE.sub(" ", unicodedata.normalize("NFKC", text).lower())
    said = unmarked(read_out(_simplifier().convert(folded)))
    return split(_SPELLED.sub(lambda letters: letters[0].replace(" ", ""), said))


@functools.cache
def _simplifier() -> Any:
    import opencc  # only where it is asked for: it reads dictionaries

    return opencc.OpenCC("t2s")
