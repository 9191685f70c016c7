"""Numbers as people write them: `24.1%`, `244M`, `1.5B`, `3e20`, `3 x 10^20`, `1,234,567`, `0,241`, `12 EFLOPs`.

Whether a comma is a decimal mark or parts thousands is decided for a whole column, by the values that can be read in
one way only, then by the other columns of the table. Where nothing decides, the column is in doubt, and not guessed.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

MISSING = frozenset((
    "", "-", "--", "\u2013", "\u2014", "?", "n/a", "na", "n.a.", "nan", "none", "null", "nil", "<na>",
    "#n/a", "#div/0!", "#value!", "#ref!", "#name?", "#num!", "#null!",
))  # fmt: skip
"""What stands in a field without a value, in lower case; the last are errors of spreadsheets."""

MAGNITUDES = {"k": 1e3, "m": 1e6, "mn": 1e6, "g": 1e9, "b": 1e9, "bn": 1e9, "t": 1e12}
"""Letters behind a number, in lower case: nobody writes parameters or tokens in thousandths."""

PREFIXES = {
    "kilo": 1e3,
    "mega": 1e6,
    "giga": 1e9,
    "tera": 1e12,
    "peta": 1e15,
    "exa": 1e18,
    "zetta": 1e21,
    "yotta": 1e24,
}
FLOP_UNITS = {
    "flop": 1.0,
    **{f"{prefix[0]}flop": factor for prefix, factor in PREFIXES.items()},
    **{f"{prefix}flop": factor for prefix, factor in PREFIXES.items()},
}
"""Units of FLOPs in lower case and in the singular."""

PF_DAY = 1e15 * 24 * 3600
"""FLOPs of a petaFLOP/s for a day, the unit of Kaplan et al., 2020."""

UNITS = {
    "percent": 0.01,
    "fraction": 1.0,
    "PF-days": PF_DAY,
    **MAGNITUDES,
    **FLOP_UNITS,
    **{f"{name}s": x for name, x in FLOP_UNITS.items()},
}
"""What may be said of a named column: --columns y=eval/cer:percent,C=compute:EFLOPs."""

EMPHASIS = " *`\u2020\u2021"
"""What stands around a value in Markdown and papers: bold face, marks of footnotes."""

_SPACES = "\u00a0\u202f\u2009 "
PLAIN = str.maketrans("\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207b\u2212\uff05", "0123456789--%")
"""Raised digits, the minus sign and the wide percent sign as those of a keyboard."""

_POWER = re.compile(r"\s*[x\u00d7*\u00b7]\s*10\s*(?:\^|\*\*)?\s*\{?([+-]?\d+)\}?", re.IGNORECASE)
_SPREAD = re.compile(r"\s*(?P<mark>\u00b1|\+/-|\+-|[(\[])")
_UNIT_OF_SPREAD = re.compile(r"\s*[\d.,]+(?:e[+-]?\d+)?\s*\)?\s*(?P<unit>%|[a-z]+)", re.IGNORECASE)
_UNIT_BEHIND_BRACKET = re.compile(r"[^)\]]*[)\]]\s*(?P<unit>%|[a-z]+)", re.IGNORECASE)
_NUMBER = re.compile(
    rf"^[~\u2248]?\s*(?P<sign>[+-]?)(?P<digits>(?:\d[\d.,'\u2019_{_SPACES}]*|[.,]\d+))(?P<power>e[+-]?\d+)?"
    r"\s*(?P<unit>%|[a-z]*)\s*(?:params|parameters|tokens|hours)?\s*$",
    re.IGNORECASE,
)
_GROUP_MARKS = re.compile(rf"[_'\u2019{_SPACES}]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """A column read as numbers, one for each row: None where nothing stands, NaN where no number stands.

    `percent` tells which values were followed by a percent sign; they are not yet divided. `scaled` is an example of a
    value with a unit, such as `244M`, `bracketed` one with something in brackets behind it, which is left out, such as
    `24.1 (0.3)`. `mark` is the decimal mark: "." or ","; None where the values leave it open, "both" where they
    contradict each other.
    """

    values: tuple[float | None, ...]
    percent: tuple[bool, ...]
    scaled: str | None
    bracketed: str | None
    mark: str | None

    @property
    def given(self) -> list[float]:
        """The finite values."""
        return [value for value in self.values if value is not None and math.isfinite(value)]

    @property
    def numeric(self) -> bool:
        """Whether at least half of what stands in the column are numbers."""
        something = [value for value in self.values if value is not None]
        return bool(self.given) and 2 * len(self.given) >= len(something)


def read_numbers(column: Sequence[Any], table_mark: str | None = None, thousands: bool = False) -> Numbers:
    """The numbers of a column; `table_mark` is the decimal mark that other columns of the table show.

    With `thousands`, a comma that could be either parts thousands, as in a table whose fields are parted by commas.
    """
    parts = [_parts(value) for value in column]
    digits = [(part["digits"] or "") + (part["power"] or "") for part in parts if part]
    mark = decimal_mark(digits)
    open_comma = mark is None and any("," in text for text in digits)
    if mark is None:
        mark = table_mark or (None if open_comma and not thousands else ".")
    read = [_read(value, part, mark or ".") for value, part in zip(column, parts, strict=True)]
    scaled = next((str(value) for value, part in zip(column, parts, strict=True) if part and _unit(part) != 1.0), None)
    bracketed = next((value for value, part in zip(column, parts, strict=True) if part and _is_bracketed(value)), None)
    return Numbers(
        values=tuple(read),
        percent=tuple(bool(part and part["unit"] == "%") for part in parts),
        scaled=scaled,
        bracketed=bracketed,
        mark=mark,
    )


def decimal_mark(digits: Iterable[str]) -> str | None:
    """The decimal mark that texts of digits show: "." or ","; "both" where they contradict each other, None where each
    could be read with either.

    >>> decimal_mark(["0,241", "1,234"]), decimal_mark(["1,234,567", "1,234"]), decimal_mark(["1,234"])
    (',', '.', None)
    """
    shown = {mark for text in digits if (mark := _shown_mark(text))}
    return None if not shown else shown.pop() if len(shown) == 1 else "both"


def _shown_mark(text: str) -> str | None:
    whole, _, power = text.lower().partition("e")
    points, commas = whole.count("."), whole.count(",")
    if points and commas:
        return "." if whole.rindex(".") > whole.rindex(",") else ","
    mark, other = (".", ",") if points else (",", ".")
    if points + commas != 1:
        return other if points + commas else None
    before, after = whole.strip().split(mark)
    could_be_thousands = len(after) == 3 and 1 <= len(before) <= 3 and before != "0" and not power
    return None if could_be_thousands else mark


def _parts(value: Any) -> dict[str, str | None] | None:
    if not isinstance(value, str):
        return None
    text = _without_spread(value.strip(EMPHASIS)).translate(PLAIN)
    number = _NUMBER.match(_POWER.sub(r"e\1", text))
    return number.groupdict() if number else None


def _without_spread(text: str) -> str:
    """A value without the spread behind it, and with the unit that stands behind both.

    >>> _without_spread("0.9 \u00b1 0.1 %"), _without_spread("24.1% (0.3)"), _without_spread("(3 +/- 1) EFLOPs")
    ('0.9%', '24.1%', '3EFLOPs')
    """
    spread = _SPREAD.search(text, 1)
    if spread is None:
        return text
    value, rest = text[: spread.start()].removeprefix("("), text[spread.end() :]
    unit = (_UNIT_BEHIND_BRACKET if _is_bracketed(text) else _UNIT_OF_SPREAD).match(rest)
    has_none = value[-1:].isdigit()
    return value + unit["unit"] if unit and has_none and _factor_of(unit["unit"]) is not None else value


def _is_bracketed(value: Any) -> bool:
    """Whether the value is followed by something in brackets."""
    spread = _SPREAD.search(value, 1) if isinstance(value, str) else None
    return spread is not None and spread["mark"] in "(["


def _unit(part: dict[str, str | None]) -> float | None:
    """What a number is multiplied by for the letters behind it; None for letters that mean nothing here."""
    return _factor_of(part["unit"] or "")


def _factor_of(unit: str) -> float | None:
    if unit.lower() in ("", "%", "h", "params", "parameters", "tokens", "hours"):
        return 1.0
    return MAGNITUDES.get(unit.lower(), FLOP_UNITS.get(unit.lower().removesuffix("s")))


def _read(value: Any, part: dict[str, str | None] | None, mark: str) -> float | None:
    if value is None or (isinstance(value, str) and value.strip().lower() in MISSING):
        return None
    if isinstance(value, bool) or mark == "both":
        return math.nan
    if part is None:
        try:
            return float(value)
        except (TypeError, ValueError):
            return math.nan
    factor = _unit(part)
    digits = _GROUP_MARKS.sub("", (part["digits"] or "").strip())
    whole, _, rest = digits.partition(mark)
    groups = whole.split("," if mark == "." else ".")
    if (
        factor is None
        or any(len(group) != 3 for group in groups[1:])
        or not all(part.isdigit() for part in groups if part)
    ):
        return math.nan
    if rest and not rest.isdigit():
        return math.nan
    return factor * float(f"{part['sign']}{''.join(groups) or '0'}.{rest or '0'}{part['power'] or ''}")
