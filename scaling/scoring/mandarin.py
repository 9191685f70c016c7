"""The Mandarin normaliser: different spellings of the same spoken words become one, by the rules below.

In order: characters of full and half width become the same (NFKC), letters become lower case, apostrophes become one,
and characters without width vanish, as in `plain`; noise marks in square or angle brackets are removed (`[n]`,
`<unk>`), while of round brackets the brackets alone are removed, because their content is spoken
(`远东百货(驴马市店)`); traditional characters become simplified ones (OpenCC's `t2s`); numbers are spelled out
(`scaling.scoring.numerals`); punctuation and symbols are removed, while dashes, slashes and commas separate words;
letters spelled one by one become one word (`N B D` is `NBD`).
"""

import functools
import re
from typing import Any

from scaling.scoring.numerals import read_out
from scaling.scoring.plain import folded, unmarked
from scaling.scoring.words import split

_NOISE = re.compile(r"<[^<>]*>|\[[^\[\]]*\]")
_SPELLED = re.compile(r"(?<![a-z])[a-z](?: +[a-z](?![a-z]))+")


def mandarin(text: str) -> list[str]:
    """The normalised words of `text`: Chinese characters, and Latin words between them.

    >>> mandarin("歡迎收聽[n]N B D，2013年10月的８.5折")
    ['欢', '迎', '收', '听', 'nbd', '二', '零', '一', '三', '年', '十', '月', '的', '八', '点', '五', '折']
    """
    encodable = folded(text).encode(errors="ignore").decode()  # JSON may hold half of a surrogate pair
    text = unmarked(read_out(_simplifier().convert(_NOISE.sub(" ", encodable))))
    return split(_SPELLED.sub(lambda letters: letters[0].replace(" ", ""), text))


@functools.cache
def _simplifier() -> Any:
    import opencc  # imported only here, because it reads dictionaries

    return opencc.OpenCC("t2s")
