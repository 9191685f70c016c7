"""Types of values that several fields share, with their bounds."""

import re
from collections import Counter
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, StrictStr

Values = TypeVar("Values", bound=tuple[float, ...])

Positive = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
Flops = Annotated[float, Field(strict=True, gt=0, le=1e32, allow_inf_nan=False)]
"""Up to what all computers on Earth do in a century (assumption: 1e22 FLOP/s)."""
Hours = Annotated[float, Field(strict=True, gt=0, le=1e7)]
"""Hours of speech; more than a thousand years are taken to be a typing error."""
Count = Annotated[StrictInt, Field(ge=1, le=1_000_000)]
"""A count of threads, ranks or frames; more than a million are taken to be a typing error."""
Share = Annotated[float, Field(strict=True, gt=0, le=1)]
Rate = Annotated[float, Field(strict=True, gt=0, lt=1)]
NAME = r"^[^\s/\\\x00-\x1f\x7f-\x9f\u061c\u180e\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb]+$"
"""Nothing blank, no slash, and nothing that steers a terminal (`scaling.system.console`)."""


def _explain_name(value: Any) -> Any:
    """The value, unless it is a text that `NAME` does not allow: the error says so in words, not by the pattern."""
    if isinstance(value, str) and value and not re.search(NAME, value):
        raise ValueError("a name without blanks, slashes and control characters")
    return value


Name = Annotated[StrictStr, Field(min_length=1, max_length=100, pattern=NAME), BeforeValidator(_explain_name)]
"""A name becomes part of file names and of reports, so it has no blanks and no slashes."""


class Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def each_once(values: Values) -> Values:
    """The values. Raises ValueError where one of them is given twice."""
    value, times = Counter(values).most_common(1)[0]
    if times > 1:
        raise ValueError(f"each value once, not {value:g} {times} times")
    return values


def mapping_or_not(value: Any) -> str:
    return "<mapping>" if isinstance(value, dict) else "<plain>"
