"""What the commands print: one JSON document or readable text on stdout, everything else on stderr."""

import json
import math
import sys
from contextlib import suppress
from typing import Any


def emit(document: Any, *, as_json: bool, text: str) -> None:
    """Print the result of a command: `document` as one JSON document with --json, else `text`.

    NaN and infinities become null, because JSON has neither.
    """
    print(_json(document) if as_json else _writable(text))


def log(message: str) -> None:
    """Print a line for people on stderr; where that is a file on a full disk, the line is lost and nothing else."""
    with suppress(OSError):
        print(_writable(message), file=sys.stderr, flush=True)


def jsonable(value: Any) -> Any:
    """`value` with mappings, sequences and numpy scalars turned into what JSON holds; non-finite numbers into None."""
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
    """`document` as JSON for people and programs, by pydantic's writer: Python's takes seven times as long."""
    from pydantic_core import to_json

    try:
        return to_json(document, indent=1, inf_nan_mode="null", fallback=jsonable).decode()
    except ValueError:  # half a surrogate pair
        return _writable(json.dumps(jsonable(document), ensure_ascii=False, indent=1))


def _writable(text: str) -> str:
    """Half a surrogate pair, which a file name or a JSON string may hold, becomes an escape, in JSON the valid one."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
