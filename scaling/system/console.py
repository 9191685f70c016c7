"""The output of commands: one JSON document or readable text on stdout, everything else on stderr."""

import json
import math
import sys
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from functools import cache
from typing import Any


def emit(result: object) -> None:
    """Print the result of a command: a string as it is, anything else as one JSON document.

    NaN and infinities become null, because JSON has neither.
    """
    print(_writable(result) if isinstance(result, str) else _json(result))


def log(message: str) -> None:
    """Print a line for people on stderr. Where stderr is a file on a full disk, the line is lost."""
    with suppress(OSError):
        print(_writable(message), file=sys.stderr, flush=True)


@cache
def log_once(message: str) -> None:
    """Print a line for people on stderr, unless this process has printed it before."""
    log(message)


def jsonable(value: Any) -> Any:
    """`value` as JSON data: numpy values become numbers and lists, numbers that are not finite become None."""
    if is_dataclass(value) and not isinstance(value, type):
        return jsonable(asdict(value))
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(item) for item in value]
    if hasattr(value, "tolist"):
        return jsonable(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _json(document: Any) -> str:
    """`document` as indented JSON, by pydantic's writer: Python's takes seven times as long."""
    from pydantic_core import to_json

    try:
        return to_json(document, indent=1, inf_nan_mode="null", fallback=jsonable).decode()
    except ValueError:  # half a surrogate pair
        return _writable(json.dumps(jsonable(document), ensure_ascii=False, indent=1))


def _writable(text: str) -> str:
    """Half a surrogate pair, which a file name or a JSON string may hold, becomes an escape that is valid in JSON."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
