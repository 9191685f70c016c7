"""Content keys: the canonical JSON text of a value, and its hash. Equal values have equal keys on every machine."""

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

OMIT_DEFAULT = {"omit_default": True}
"""Metadata of a field that was added after results existed: a key leaves the field out where it has its default, so
that the keys of older results stay as they are."""

canonical_json = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
"""The canonical text of plain JSON data."""


def digest(value: Any) -> str:
    """A content key: 20 hex digits of SHA-256 over the canonical JSON of `value` (80 bits: no chance collision)."""
    return text_digest(canonical_json(canonical(value)))


def text_digest(text: str) -> str:
    """The content key of a canonical text."""
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@functools.lru_cache(maxsize=4096, typed=True)
def canonical_text(value: Any) -> str:
    """The canonical text of a hashable value, kept: thousands of runs of a study share a few models and strategies."""
    return canonical_json(canonical(value))


def object_text(texts: Mapping[str, str]) -> str:
    """The canonical text of an object, from the canonical texts of its values."""
    return "{" + ",".join(f'"{name}":{texts[name]}' for name in sorted(texts)) + "}"


def canonical(value: Any, *, labels: bool = False) -> Any:
    """`value` as plain JSON data: compared dataclass fields, string keys, no lossy fallback.

    With `labels` every field; without, labels (`compare=False`) and `OMIT_DEFAULT` fields at their default are left
    out. Raises TypeError on a type that has no stable form, rather than hashing whatever its `repr` says.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [field for field in dataclasses.fields(value) if labels or _in_key(field, value)]
        return {field.name: canonical(getattr(value, field.name), labels=labels) for field in fields}
    if isinstance(value, StrEnum):
        return value.value
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError(f"{value} has no canonical form")
        return value
    if isinstance(value, tuple | list):
        return [canonical(item, labels=labels) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: canonical(item, labels=labels) for key, item in value.items()}
    raise TypeError(f"a {type(value).__name__} has no canonical form: {value!r}")


def _in_key(field: dataclasses.Field[Any], value: Any) -> bool:
    omitted = field.metadata.get("omit_default") and getattr(value, field.name) == field.default
    return field.compare and not omitted
