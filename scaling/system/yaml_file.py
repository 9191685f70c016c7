"""YAML 1.2 files, with the line of every field: `1e12` is a number and `no` is a text, as in a study's fields."""

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from scaling.errors import InputError

FieldPath = tuple[str | int, ...]
"""Keys and list positions from the top of a document to a field."""

UNUSABLE = re.compile("[\0\ud800-\udfff]")
"""Characters that YAML can spell and that file names, tokenizers and UTF-8 cannot hold: NUL, and half a surrogate
pair."""


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """The value of a YAML file, and the line of each of its fields (from 1)."""

    value: Any
    lines: dict[FieldPath, int]

    def line(self, path: FieldPath) -> int | None:
        """The line of the field at `path`, or of the nearest field around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)


class _Constructor(SafeConstructor):
    """Plain values only. A date is a text, because the core schema of YAML 1.2 has no dates."""


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def read_yaml(path: Path) -> YamlDocument:
    """The one document in the file. Raises InputError where the file is missing or not YAML, naming the line."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text ({error})") from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, source: str) -> YamlDocument:
    """The one document in `text`; `source` names it in errors.

    >>> parse_yaml("{a: 1e12, b: no, c: 010}", "").value
    {'a': 1000000000000.0, 'b': 'no', 'c': 10}
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    lines: dict[FieldPath, int] = {}
    try:
        root = yaml.compose(text)
        if root is None:
            return YamlDocument(value=None, lines=lines)
        _note_lines(root, (), lines, source)
        return YamlDocument(value=yaml.constructor.construct_document(root), lines=lines)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}:{mark.line + 1}" if mark else source
        if isinstance(error, DuplicateKeyError):
            raise InputError(f"{where}: {error.problem}; expected each field once") from None
        raise InputError(f"{where}: not valid YAML: {error.problem or error.context}") from None
    except (YAMLError, ValueError) as error:  # control characters, integers of thousands of digits
        raise InputError(f"{source}: not valid YAML: {error}") from None
    except RecursionError:
        raise InputError(f"{source}: not valid YAML: nested too deeply") from None


def to_yaml(value: Any) -> str:
    """Plain data as the text of a YAML file; `parse_yaml` gives it back."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    text = io.StringIO()
    yaml.dump(value, text)
    return text.getvalue()


def _note_lines(node: Node, path: FieldPath, lines: dict[FieldPath, int], source: str) -> None:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, ScalarNode) and UNUSABLE.search(node.value):
        raise InputError(f"{source}:{lines[path]}: {node.value!r} holds a character that no text file can hold")
    if isinstance(node, MappingNode):
        for key, value in node.value:
            child = (*path, str(key.value))
            _note_lines(value, child, lines, source)
            lines[child] = key.start_mark.line + 1
    elif isinstance(node, SequenceNode):
        for position, value in enumerate(node.value):
            _note_lines(value, (*path, position), lines, source)
