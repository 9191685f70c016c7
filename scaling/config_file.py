"""A config.json of a model: values with errors that name file, field and what was expected."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from scaling.errors import InputError, nearest


class ConfigFile:
    """A JSON object of settings. Raises InputError where the file holds none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: not a readable JSON file ({error})") from error
        if not isinstance(self.values, dict):
            raise InputError(f"{path}: expected a JSON object, found {type(self.values).__name__}")

    def kind(self, supported: Collection[str], why: str) -> str:
        """The model_type; raises InputError where it is none of `supported`."""
        kind = self.values.get("model_type")
        if kind not in supported:
            raise InputError(f"{self.path}: model_type {kind!r} is not supported, {why}{nearest(kind, supported)}")
        return str(kind)

    def integer(self, key: str, default: int | None = None) -> int:
        """A whole number above 0."""
        value = self.values.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise InputError(f"{self.path}: {key} must be a whole number above 0, not {value!r}")
        return value

    def integers(self, key: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """Whole numbers above 0."""
        value = self.values.get(key, default)
        if not isinstance(value, list | tuple) or not all(isinstance(n, int) and n > 0 for n in value) or not value:
            raise InputError(f"{self.path}: {key} must be whole numbers above 0, not {value!r}")
        return tuple(value)

    def expect(self, key: str, expected: Any, why: str) -> None:
        """Raise InputError where `key` is there and is not `expected`."""
        value = self.values.get(key, expected)
        if value != expected:
            raise InputError(f"{self.path}: {key} is {value!r}, expected {expected!r}: {why}")
