"""Reading JSON files that anybody may have written: an object, or an object in each line, with errors that say where.

JSON is read by pydantic's parser, which is fast and exact for whole numbers over 64 bits (FLOPs), and by Python's where
pydantic's refuses. It is written by Python's, in the format that files of earlier versions have.
"""

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, from_json

from scaling.errors import InputError
from scaling.system.contained_files import MOST_BYTES, read_regular
from scaling.system.text_bytes import without_mark

Kind = TypeVar("Kind", bound=BaseModel)


def parse_json(text: str | bytes, place: str) -> Any:
    """The value in `text`. Raises InputError, naming `place`, where it is no JSON or nested too deeply.

    pydantic's parser takes half the time and gives the same values. It refuses half a surrogate pair, which Python's
    parser reads.
    """
    with suppress(ValueError):
        return from_json(text)
    try:
        return json.loads(text)
    except RecursionError:
        raise InputError(f"{place}: not valid JSON (nested too deeply)") from None
    except ValueError as error:  # also for bytes that are not UTF-8, and for numbers of thousands of digits
        raise InputError(f"{place}: not valid JSON ({error})") from None


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises InputError, naming the file, where it is missing, damaged or no object."""
    return json_object(without_mark(read_regular(path), str(path)), str(path))


def json_object(content: bytes, place: str) -> dict[str, Any]:
    """The JSON object in `content`. Raises InputError, naming `place`, where it holds none."""
    return _object(parse_json(content, place), place)


def parse_record(kind: type[Kind], content: bytes, place: str) -> Kind:
    """The record of this `kind` in `content`. Raises InputError naming `place`, field, value and what was expected."""
    try:
        return kind.model_validate_json(content)
    except ValidationError:
        value = _object(parse_json(content, place), place)
    try:
        return kind.model_validate(value)  # what pydantic's parser refuses, Python's may read
    except ValidationError as invalid:
        raise InputError(f"{place}: {_explain(invalid.errors(include_url=False), value)}") from None


def read_record_lines(kind: type[Kind], path: Path) -> list[Kind]:
    """The records of this `kind` in a file, one a line. Raises InputError naming file, line and field."""
    return [parse_record(kind, line, f"{path}:{number}") for number, line in _lines(path)]


def read_json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects of a file's lines, by number, without blank ones. Raises InputError naming file and line."""
    for number, line in _lines(path):
        place = f"{path}:{number}"
        yield number, _object(parse_json(line, place), place)


def read_unpacked(path: Path) -> bytes:
    """The bytes of a file, unpacked where its name ends in .gz. Raises InputError where it cannot be read."""
    content = read_regular(path)
    if path.suffix.lower() != ".gz":
        return content
    try:
        content = gzip.GzipFile(fileobj=io.BytesIO(content)).read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: not readable ({error})") from None
    if len(content) > MOST_BYTES:
        raise InputError(f"{path}: unpacked over {MOST_BYTES} bytes; expected at most so many")
    return content


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file, gzipped or not, that are not blank, with their numbers from 1, without a byte order mark."""
    for number, line in enumerate(without_mark(read_unpacked(path), str(path)).split(b"\n"), start=1):
        if line.strip():
            yield number, line


def _object(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{place}: expected a JSON object, found {type(value).__name__}")
    return value


def _explain(errors: list[ErrorDetails], value: Any) -> str:
    """The first field that is wrong, its value and what was expected. Of several types, the last is expected."""
    field = _field_path(errors[0]["loc"], value)
    error = [error for error in errors if _field_path(error["loc"], value) == field][-1]
    if error["type"] == "missing":
        return f"{field} is missing"
    return f"{field} is {error['input']!r:.200}; expected {_expected(error)}"


def _field_path(location: tuple[int | str, ...], value: Any) -> str:
    """The names and positions in pydantic's `location` that lead into `value`, without its names of types."""
    path: list[str] = []
    for part in location:
        if isinstance(value, dict):
            path.append(str(part))
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int):
            path.append(str(part))
            value = value[part] if part < len(value) else None
    return ".".join(path)


def _expected(error: ErrorDetails) -> str:
    words = {
        "string_type": "text",
        "int_type": "a whole number",
        "float_type": "a number",
        "list_type": "a list",
        "dict_type": "an object",
        "model_type": "an object",
    }
    limits = error.get("ctx", {})
    if "ge" in limits or "gt" in limits:
        return f"a number, {limits['ge']:g} or more" if "ge" in limits else f"a number above {limits['gt']:g}"
    if "pattern" in limits:
        return "a relative path below its folder" if ")*" in limits["pattern"] else "a name without slashes"
    return words.get(error["type"], str(error["msg"]).removeprefix("Input should be "))
