"""The output of commands: one JSON document or readable text on stdout, everything else on stderr."""

import json
import math
import re
import sys
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from functools import cache
from typing import Any

STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but for line ends and tabs
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f"  # directions, line separators, forms of digits and letters
    "\u180e\ufeff\ufff9-\ufffb"  # a byte order mark, and what else is invisible and changes the text around it
    "\ud800-\udfff]"  # half a surrogate pair, which a file name or a JSON string may hold and UTF-8 cannot
)
"""Characters that are never written as they are."""


def emit(result: object) -> None:
    """Print the result of a command: a string as it is, anything else as one JSON document.

    NaN and infinities become null, because JSON has neither.
    """
    print(readable(result) if isinstance(result, str) else _json(result))


def log(message: str) -> None:
    """Print a line for people on stderr. Where stderr is a file on a full disk, the line is lost."""
    with suppress(OSError):
        print(one_line(message), file=sys.stderr, flush=True)


def readable(text: str) -> str:
    """`text` with the characters that steer a terminal, or turn a line round, as escapes that are valid in JSON.

    Line ends and tabs stay. Names of studies, models and files may hold anything, and a terminal obeys it.
    """
    return STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def one_line(text: str) -> str:
    """`text` as a part of one line: as `readable`, with line ends and tabs as escapes too."""
    return readable(text).replace("\n", "\\n").replace("\t", "\\t")


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
        text = to_json(document, indent=1, inf_nan_mode="null", fallback=jsonable).decode()
    except ValueError:  # half a surrogate pair
        text = json.dumps(jsonable(document), ensure_ascii=False, indent=1)
    return readable(text)
