"""YAML 1.2 files, with the line of every field: `1e12` is a number and `no` is a text, as in a study's fields."""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from scaling.errors import InputError
from scaling.system.contained_files import read_regular

FieldPath = tuple[str | int, ...]
"""Keys and list positions from the top of a document to a field."""

MOST_CHARACTERS = 1_000_000
MOST_VALUES = 20_000
MOST_FIELDS = 50_000
"""The longest text, its most values, and the most fields with those that aliases repeat: a hundred times those of any
study. The parser takes 2 s for the longest text (measured), and nine lines of aliases can stand for 10^9 fields."""

LONGEST_NUMBER = 400
"""The most characters of a number: floats end at 309 digits, and Python writes no whole number of over 4300."""

NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")

SEPARATORS = re.compile("[,\n]")
"""What stands between values."""

OTHER_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("binary", "omap", "pairs", "set")}
"""Kinds of values that the parser knows and no field has."""

BOOLEANS = ("true", "false")

UNUSABLE = re.compile("[\0\ud800-\udfff]")
"""Characters that YAML can spell and file names, tokenizers and UTF-8 cannot hold: NUL, and half a surrogate pair."""


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """The value of a YAML file, and the line of each of its fields (from 1); `source` names the file in errors.

    `replaced` are the fields that `replace` has set, which stand in no line of the file.
    """

    value: Any
    lines: dict[FieldPath, int]
    source: str
    replaced: set[FieldPath] = field(default_factory=set)

    def line(self, path: FieldPath) -> int | None:
        """The line of the field at `path`, or of the nearest field around it; None for a replaced field."""
        if any(path[: len(replaced)] == replaced for replaced in self.replaced):
            return None
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)

    def replace(self, names: Sequence[str], value: Any, context: str) -> None:
        """Set the field that `names` lead to, from the top; missing mappings on the way are made.

        Raises InputError, which begins with `context`, where a name leads into a value that has no such field.
        """
        holder, path = self.value, FieldPath()
        for name, following in zip(names, [*names[1:], None], strict=True):
            key = _key(holder, name, context, path)
            path = (*path, key)
            if following is None:
                holder[key] = value
            elif isinstance(holder, dict) and holder.get(key) is None:
                holder[key] = {}
            holder = holder[key]
        self.replaced.add(path)

    def place(self, path: FieldPath) -> str:
        """File, line where known, and the field's path."""
        line = self.line(path)
        where = f"{self.source}:{line}" if line else self.source
        return f"{where}: {'.'.join(map(str, path))}" if path else where

    def error(self, path: FieldPath, value: object, expected: str) -> InputError:
        """An error about the field at `path`: where it stands, its value, and what was expected."""
        return InputError(f"{self.place(path)}: {value!r}; expected {expected}")

    @contextmanager
    def at(self, path: FieldPath) -> Iterator[None]:
        """Names the field at `path` in every InputError (or ValueError) that is raised inside."""
        try:
            yield
        except ValueError as error:
            raise InputError(f"{self.place(path)}: {error}") from error


def _key(holder: Any, name: str, context: str, path: FieldPath) -> str | int:
    """The key of a mapping, or the position in a list, that `name` stands for."""
    where = ".".join(map(str, path)) or "the document"
    if isinstance(holder, dict):
        return name
    if not isinstance(holder, list):
        raise InputError(f"{context}: {where} is {holder!r}, which has no field {name!r}")
    if not name.isdigit() or int(name) >= len(holder):
        raise InputError(f"{context}: {where} has {len(holder)} entries; expected a position from 0, not {name!r}")
    return int(name)


class _Constructor(SafeConstructor):
    """Plain values only. A date is a text, because the core schema of YAML 1.2 has no dates."""


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def read_yaml(path: Path) -> YamlDocument:
    """The one document in the file. Raises InputError where the file is missing or not YAML, naming the line."""
    try:
        text = read_regular(path, MOST_CHARACTERS).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text ({error})") from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, source: str) -> YamlDocument:
    """The one document in `text`; `source` names it in errors.

    >>> parse_yaml("{a: 1e12, b: no, c: 010}", "").value
    {'a': 1000000000000.0, 'b': 'no', 'c': 10}
    """
    if len(text) > MOST_CHARACTERS or len(SEPARATORS.findall(text)) > MOST_VALUES:
        raise InputError(f"{source}: too long; expected at most {MOST_CHARACTERS} characters and {MOST_VALUES} values")
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    lines: dict[FieldPath, int] = {}
    try:
        root = yaml.compose(text)
        if root is None:
            return YamlDocument(value=None, lines=lines, source=source)
        _note_lines(root, (), lines, source)
        return YamlDocument(value=yaml.constructor.construct_document(root), lines=lines, source=source)
    except InputError:
        raise
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}:{mark.line + 1}" if mark else source
        if isinstance(error, DuplicateKeyError):
            raise InputError(f"{where}: {error.problem}; expected each field once") from None
        hint = " (indent with spaces)" if "'\\t'" in str(error.problem) else ""
        raise InputError(f"{where}: not valid YAML: {error.problem or error.context}{hint}") from None
    except (YAMLError, ValueError) as error:  # control characters, integers of thousands of digits
        raise InputError(f"{source}: not valid YAML: {error}") from None
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise InputError(f"{source}: not valid YAML: a value is not what its tag says ({error})") from None
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


def _refuse_other_tag(node: Node, place: str) -> None:
    """Raise InputError for a value that is no plain one, or not what its tag says."""
    tag = str(node.tag)
    if tag in OTHER_TAGS or (tag == "tag:yaml.org,2002:bool" and node.value.lower() not in BOOLEANS):
        raise InputError(
            f"{place}: the tag {tag.replace('tag:yaml.org,2002:', '!!')} does not fit; expected plain values"
        )


def _note_lines(node: Node, path: FieldPath, lines: dict[FieldPath, int], source: str) -> None:
    lines[path] = node.start_mark.line + 1
    if len(lines) > MOST_FIELDS:
        raise InputError(f"{source}:{lines[path]}: over {MOST_FIELDS} fields with those that aliases (*) repeat")
    _refuse_other_tag(node, f"{source}:{lines[path]}")
    if isinstance(node, ScalarNode) and UNUSABLE.search(node.value):
        raise InputError(f"{source}:{lines[path]}: {node.value!r} holds a character that no text file can hold")
    if isinstance(node, ScalarNode) and str(node.tag) in NUMBERS and len(node.value) > LONGEST_NUMBER:
        raise InputError(
            f"{source}:{lines[path]}: a number of {len(node.value)} digits; expected at most {LONGEST_NUMBER}"
        )
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                raise InputError(
                    f"{source}:{key.start_mark.line + 1}: a field's name is a list or fields; expected text"
                )
            child = (*path, str(key.value))
            _note_lines(value, child, lines, source)
            lines[child] = key.start_mark.line + 1
    elif isinstance(node, SequenceNode):
        for position, value in enumerate(node.value):
            _note_lines(value, (*path, position), lines, source)
