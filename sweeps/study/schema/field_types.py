"""Types of values that several fields share, with their bounds."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

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
Name = Annotated[StrictStr, Field(min_length=1, max_length=100, pattern=NAME)]
"""A name becomes part of file names and of reports, so it has no blanks and no slashes."""


class Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def mapping_or_not(value: Any) -> str:
    return "<mapping>" if isinstance(value, dict) else "<plain>"
