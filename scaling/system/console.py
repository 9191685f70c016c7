"""The output of commands: one JSON document or readable text on stdout, everything else on stderr."""

import json
import math
import os
import re
import shutil
import sys
import textwrap
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

JOIN = "\u00a0"
"""A space at which nothing is wrapped, and which is written as a space."""

INTERVAL = re.compile(r"\[[^\[\]]{1,20}, [^\[\]]{1,20}\]")
"""Two ends in brackets, which stay on one line."""


COLOURED = {
    "warning": (r"^ *(?P<warning>!) ", "yellow"),
    "code": (r"(?P<code>\[[a-z][a-z_0-9]*\])$", "dim"),
    "hint": (r"^(?P<hint> +\(asr-scaling explain .*\))$", "dim"),
    "header": (
        r"^(?!.*  ok$)(?P<header>[A-Za-z+]+(?: [A-Za-z+]+)*(?:  +(?:90% )?[A-Za-z+]+(?: [A-Za-z+]+)*)+)$",
        "bold",
    ),
    "interval": (r"(?P<interval>\[[-no\d][^\[\]]*, [^\[\]]*\])", "cyan"),
    "good": (r"\b(?P<good>ok|done|inside)$", "green"),
    "bad": (r"\b(?P<bad>failed|blocked|diverged|outside)\b", "red"),
}
"""What an answer shows in colour on a terminal, and in which: the beginning of warnings, header lines, intervals."""


def emit(result: object, *, as_is: bool = False) -> None:
    """Print the result of a command: a string for people, anything else as one JSON document.

    A string is wrapped to the width of the terminal, and in colour on one (`NO_COLOR` is obeyed), unless it is data
    that stays `as_is`. NaN and infinities become null, because JSON has neither.
    """
    if not isinstance(result, str):
        print(_json(result))
    elif as_is:
        print(readable(result))
    elif sys.stdout.isatty():
        _print_in_colour(wrapped(readable(result)))
    else:
        print(wrapped(readable(result)))


def known_width() -> int | None:
    """The columns that `COLUMNS` says, or that the terminal on stdout has; None in a pipe or a file."""
    if os.environ.get("COLUMNS", "").isdecimal() or sys.stdout.isatty():
        return max(shutil.get_terminal_size().columns, 20)
    return None


def wrapped(text: str) -> str:
    """`text` with the lines that are too long for the terminal wrapped between words, and their rest indented."""
    width = known_width()
    lines = text.split("\n") if width is None else [_wrapped_line(line, width) for line in text.split("\n")]
    return "\n".join(lines).replace(JOIN, " ")


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


def _wrapped_line(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    indent = len(line) - len(line.lstrip(" !")) or 2
    whole = INTERVAL.sub(lambda found: found[0].replace(" ", JOIN), line)
    return textwrap.fill(whole, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)


def _print_in_colour(text: str) -> None:
    from rich.console import Console
    from rich.highlighter import RegexHighlighter
    from rich.theme import Theme

    patterns = [f"(?m){pattern}" for pattern, _ in COLOURED.values()]
    highlighter = type("Answers", (RegexHighlighter,), {"highlights": patterns})()
    theme = Theme({name: style for name, (_, style) in COLOURED.items()})
    Console(theme=theme, highlighter=highlighter, markup=False, emoji=False).print(text, soft_wrap=True)


def _json(document: Any) -> str:
    """`document` as indented JSON, by pydantic's writer: Python's takes seven times as long."""
    from pydantic_core import to_json

    try:
        text = to_json(document, indent=1, inf_nan_mode="null", fallback=jsonable).decode()
    except ValueError:  # half a surrogate pair
        text = json.dumps(jsonable(document), ensure_ascii=False, indent=1)
    return readable(text)
