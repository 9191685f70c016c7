"""YAML 1.2 scalars on a safe loader, with the line of every field.

YAML 1.1, which PyYAML reads by default, takes `1e12` for text and `no` for false. A study's budgets are exactly such
numbers.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scaling.errors import InputError

FieldPath = tuple[str | int, ...]
"""Keys and list positions from the top of a document to a field."""


UNUSABLE = re.compile("[\0\ud800-\udfff]")
"""What escapes can write and file names, tokenizers and UTF-8 cannot: NUL, and half a surrogate pair."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a YAML file holds, and where each field stands in it (lines from 1)."""

    value: Any
    lines: dict[FieldPath, int]

    def line(self, path: FieldPath) -> int | None:
        """The line of the field at `path`, or of the nearest field around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)


def read_yaml(path: Path) -> Document:
    """The one document in the file. Raises InputError where the file is missing or not YAML, naming the line."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text ({error})") from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, source: str) -> Document:
    """The one document in `text`; `source` names it in errors.

    >>> parse_yaml("{a: 1e12, b: no, c: 010}", "").value
    {'a': 1000000000000.0, 'b': 'no', 'c': 10}
    """
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            return Document(value=None, lines={})
        lines: dict[FieldPath, int] = {}
        _note_lines(root, (), lines, source)
        return Document(value=loader.construct_document(root), lines=lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}:{mark.line + 1}" if mark else source
        raise InputError(f"{where}: not valid YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError) as error:  # control characters, integers of thousands of digits
        raise InputError(f"{source}: not valid YAML: {error}") from None
    except RecursionError:
        raise InputError(f"{source}: not valid YAML: nested too deeply") from None


class _Loader(yaml.SafeLoader):
    """A safe loader whose plain scalars follow the core schema of YAML 1.2."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 (PyYAML's own registry; filled below)


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    return int(text, 0) if text[:2] in ("0x", "0o") else int(text)


_SCALARS = {
    "null": (r"~|null|Null|NULL|", "~nN\0"),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
}
for _kind, (_pattern, _first) in _SCALARS.items():
    _starts = ["" if char == "\0" else char for char in _first]
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"^(?:{_pattern})$"), _starts)
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)


def _note_lines(node: yaml.Node, path: FieldPath, lines: dict[FieldPath, int], source: str) -> None:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode) and UNUSABLE.search(node.value):
        raise InputError(f"{source}:{lines[path]}: {node.value!r} holds a character that no text file can hold")
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            child = (*path, str(key.value))
            if child in lines:
                raise InputError(f"{source}:{key.start_mark.line + 1}: field {key.value!r} is given twice")
            _note_lines(value, child, lines, source)
            lines[child] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            _note_lines(value, (*path, position), lines, source)
