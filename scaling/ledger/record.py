"""The base of every record on disk, and the types of its fields."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

NAME_PATTERN = r"^([^./\x00][^/\x00]*|\.[^./\x00][^/\x00]*|\.\.[^/\x00]+)$"
"""A name without slashes that is neither `.` nor `..`: it can name a file."""

PATH_PATTERN = NAME_PATTERN.replace("$", "") + "(/" + NAME_PATTERN[1:-1] + ")*$"
"""Names with slashes between them: a path that cannot leave its folder."""

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
InnerPath = Annotated[str, Field(pattern=PATH_PATTERN)]
Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PositiveCount = Annotated[int, Field(gt=0)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Flops = Count | Amount
"""FLOPs of training: a whole number, exact beyond 2^53, or another trainer's estimate."""

PositiveNumber = PositiveCount | Positive


class Record(BaseModel):
    """A JSON object on disk. Types are not converted: text is no number, and true is not 1."""

    model_config = ConfigDict(strict=True, extra="allow", populate_by_name=True, defer_build=True)

    def as_json(self) -> dict[str, Any]:
        """The JSON object with the fields that were given, as it is written to disk."""
        return self.model_dump(by_alias=True, exclude_unset=True)
