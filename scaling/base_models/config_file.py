"""The config.json of a model: its values, with errors that name the file, the field and what was expected."""

import copy
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, TypeGuard

from scaling.errors import InputError, nearest
from scaling.system.json_files import read_json

LARGEST = 10_000_000
"""Ten times the largest published vocabulary: FLOPs of larger sizes would not fit into 64-bit integers."""

Settings = Mapping[str, tuple[str, int | None]]
"""By a size's name here: its name in the file, and what transformers fills in where it is left out, if any."""


class ConfigFile:
    """A JSON object of settings. Raises InputError where the file holds no JSON object."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values = read_json(path)
        self._within = ""

    def section(self, name: str) -> Self:
        """The object of settings of that name. Raises InputError where the file has none."""
        values = self.values.get(name)
        if not isinstance(values, dict):
            raise InputError(f"{self.path}: {self._within}{name} must be an object of settings, not {values!r:.80}")
        section = copy.copy(self)
        section.values, section._within = values, f"{self._within}{name}."
        return section

    def kind(self, supported: Collection[str], why: str) -> str:
        """The model_type. Raises InputError, with the reason `why`, where it is none of `supported`."""
        kind = self.values.get("model_type")
        if not isinstance(kind, str) or kind not in supported:
            raise InputError(f"{self.path}: model_type {kind!r} is not supported, {why}{nearest(kind, supported)}")
        return kind

    def integer(self, key: str, default: int | None = None, *, null: bool = False) -> int:
        """The value of `key`, a whole number above 0. Raises InputError where it is not.

        An absent value is the `default`, if there is one, and so is null where `null` says so: transformers refuses it
        for most settings.
        """
        value = self.values.get(key)
        if value is None and default is not None and (null or key not in self.values):
            return default
        if not _countable(value):
            raise InputError(
                f"{self.path}: {self._within}{key} must be a whole number from 1 to {LARGEST}, not {value!r}"
            )
        return value

    def integers(self, key: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """The value of `key`, a list of whole numbers above 0. Raises InputError where it is not."""
        value = self.values.get(key, default)
        if not isinstance(value, list | tuple) or not all(map(_countable, value)) or not value:
            raise InputError(
                f"{self.path}: {self._within}{key} must be whole numbers from 1 to {LARGEST}, not {value!r}"
            )
        return tuple(value)

    def flag(self, key: str, default: bool) -> bool:
        """The value of `key`, true or false. Raises InputError for anything else, such as null or the text `false`."""
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise InputError(f"{self.path}: {self._within}{key} must be true or false, not {value!r:.80}")
        return value

    def sizes(self, settings: Settings) -> dict[str, Any]:
        """By their names here, whole numbers above 0, each the setting of the file or its default."""
        return {name: self.integer(key, default) for name, (key, default) in settings.items()}

    @property
    def origin(self) -> dict[str, Any]:
        """The `name` and the `source` of dimensions that are read from this file."""
        return {"name": self.path.parent.name, "source": str(self.path)}

    def expect(self, key: str, expected: Any, why: str) -> None:
        """Raise InputError where the file gives `key` another value than `expected`."""
        value = self.values.get(key, expected)
        if value != expected:
            raise InputError(f"{self.path}: {self._within}{key} is {value!r}, expected {expected!r}: {why}")


def published(hub_id: str, settings: Settings = MappingProxyType({})) -> dict[str, Any]:
    """The name and the source of a published model, and its sizes where these are the defaults of `settings`."""
    source = f"https://huggingface.co/{hub_id}/blob/main/config.json"
    sizes = {name: default for name, (_, default) in settings.items()}
    return {"name": hub_id.split("/")[1], "source": source, **sizes}


def _countable(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST
