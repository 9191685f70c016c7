"""A config.json of a model: values with errors that name file, field and what was expected."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeGuard

from scaling.errors import InputError, nearest
from scaling.system.json_files import read_json

LARGEST = 10_000_000
"""Ten times the largest vocabulary there is: products of absurd sizes would not fit the integers of FLOP counts."""


class ConfigFile:
    """A JSON object of settings. Raises InputError where the file holds none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values = read_json(path)

    def kind(self, supported: Collection[str], why: str) -> str:
        """The model_type; raises InputError where it is none of `supported`."""
        kind = self.values.get("model_type")
        if not isinstance(kind, str) or kind not in supported:
            raise InputError(f"{self.path}: model_type {kind!r} is not supported, {why}{nearest(kind, supported)}")
        return kind

    def integer(self, key: str, default: int | None = None) -> int:
        """A whole number above 0."""
        value = self.values.get(key)
        if value is None and default is not None:
            return default
        if not _countable(value):
            raise InputError(f"{self.path}: {key} must be a whole number from 1 to {LARGEST}, not {value!r}")
        return value

    def integers(self, key: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """Whole numbers above 0."""
        value = self.values.get(key, default)
        if not isinstance(value, list | tuple) or not all(map(_countable, value)) or not value:
            raise InputError(f"{self.path}: {key} must be whole numbers from 1 to {LARGEST}, not {value!r}")
        return tuple(value)

    def expect(self, key: str, expected: Any, why: str) -> None:
        """Raise InputError where `key` is there and is not `expected`."""
        value = self.values.get(key, expected)
        if value != expected:
            raise InputError(f"{self.path}: {key} is {value!r}, expected {expected!r}: {why}")


def _countable(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST
