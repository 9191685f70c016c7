"""Reading JSON files that anybody may have written: an object, or an object in each line, with errors that say where.

JSON is read by pydantic's parser, which is fast and exact for whole numbers over 64 bits (FLOPs), and by Python's where
pydantic's refuses. It is written by Python's, in the format that files of earlier versions have.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from scaling.errors import InputError


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
    return parse_object(read_bytes(path), path)


def parse_object(content: bytes, path: Path) -> dict[str, Any]:
    """The JSON object in `content`, which was read from `path`. Raises InputError as `read_json` does."""
    return _object(parse_json(content, str(path)), str(path))


def read_bytes(path: Path) -> bytes:
    """The bytes of a file. Raises InputError, naming the file, where it is missing or cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        missing = "no such file" if isinstance(error, FileNotFoundError) else f"not readable ({error.strerror})"
        raise InputError(f"{path}: {missing}") from None


def read_json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects in a file, one in each line, with their line numbers; blank lines are skipped.

    Raises InputError naming file and line.
    """
    for number, line in enumerate(read_bytes(path).removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if line.strip():
            place = f"{path}:{number}"
            yield number, _object(parse_json(line, place), place)


def _object(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{place}: expected a JSON object, found {type(value).__name__}")
    return value
