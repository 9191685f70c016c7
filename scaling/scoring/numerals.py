"""Numbers spelled out in Mandarin, by rules that need no context except a following 年.

Years (four digits before 年), numbers with a leading zero and numbers of over eight digits (telephone numbers) are
spelled digit by digit, all others by value; `%` is 百分之; decimals follow 点 digit by digit, after the last point
alone where there are several (`1.5.2`). 2 is always 二, never 两, and 1 is never 幺: where a reference has 两 or 幺,
a hypothesis in digits has an error.
"""

import re

DIGITS = "零一二三四五六七八九"
PLACES = ((10_000, "万"), (1000, "千"), (100, "百"), (10, "十"))
LONGEST_VALUE = 8
"""The most digits of a number that is spelled by value."""

_NUMBER = re.compile(
    r"(?P<whole>[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.(?P<part>[0-9]+)(?!\.?[0-9]))?(?P<percent>%)?(?P<year>(?=年))?"
)


def read_out(text: str) -> str:
    """`text` with its Arabic numbers spelled out.

    >>> read_out("1号门,8.5折,50%,2013年,13800138000,1,050元,10010")
    '一号门,八点五折,百分之五十,二零一三年,一三八零零一三八零零零,一千零五十元,一万零一十'
    """
    return _NUMBER.sub(_spoken, text)


def _spoken(number: re.Match[str]) -> str:
    whole, part = number["whole"].replace(",", ""), number["part"]
    year = number["year"] is not None and len(whole) == 4 and part is None
    one_by_one = year or len(whole) > LONGEST_VALUE or (whole[0] == "0" and len(whole) > 1)
    spelled = _one_by_one(whole) if one_by_one else _by_value(int(whole))
    decimals = "" if part is None else "点" + _one_by_one(part)
    return ("百分之" if number["percent"] else "") + spelled + decimals


def _one_by_one(digits: str) -> str:
    return "".join(DIGITS[int(digit)] for digit in digits)


def _by_value(value: int) -> str:
    spelled = _placed(value)
    return spelled[1:] if spelled.startswith("一十") else spelled


def _placed(value: int) -> str:
    for size, name in PLACES:
        if value >= size:
            high, rest = divmod(value, size)
            skipped = "零" if rest < size // 10 else ""
            return _placed(high) + name + (skipped + _placed(rest) if rest else "")
    return DIGITS[value]
