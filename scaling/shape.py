"""The shape of JSON that another program, or a torn disk, may have written: which fields it must have, of which kinds.

A shape is a kind (a predicate, named for what it expects), a tuple of shapes of which one must fit, a list of one shape
for the items of a list, or a mapping: `{"name": shape}` for fields that must be there, `{ANY: shape}` for all.
"""

import math
from collections.abc import Iterable
from typing import Any

from scaling.errors import InputError

ANY = "*"


def check_shape(value: Any, shape: Any, place: str) -> None:
    """Raise InputError, naming the file `place`, the field, its value and what was expected, where it does not fit.

    >>> check_shape({"flops": -1}, {"flops": amount}, "a.json")
    Traceback (most recent call last):
        ...
    scaling.errors.InputError: a.json: flops is -1; expected a number, 0 or more
    """
    if not _fits(value, shape):  # words only for what is wrong: a plan of thousands of runs has a million values
        _complain(value, shape, place, "")


def text(value: Any) -> bool:
    """Text"""
    return isinstance(value, str)


def amount(value: Any) -> bool:
    """A number, 0 or more"""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def count(value: Any) -> bool:
    """A whole number, 0 or more"""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def positive(value: Any) -> bool:
    """A number above 0"""
    return amount(value) and value > 0


def nothing(value: Any) -> bool:
    """Null"""
    return value is None


def anything(value: Any) -> bool:
    """Any value"""
    return True


def name(value: Any) -> bool:
    """A name without slashes"""
    return isinstance(value, str) and "/" not in value and value not in ("", ".", "..") and "\0" not in value


def inside(value: Any) -> bool:
    """A relative path below its folder"""
    return isinstance(value, str) and all(name(part) for part in value.split("/"))


def _fits(value: Any, shape: Any) -> bool:
    return _all_fit([value], shape)


def _all_fit(values: list[Any], shape: Any) -> bool:
    """Whether every value fits: field by field over all of them, because most fields of most runs say the same."""
    if callable(shape):
        return all(map(shape, _distinct(values)))
    if isinstance(shape, tuple):
        return all(any(_fits(value, one) for one in shape) for value in values)
    if isinstance(shape, list):
        return _are(list, values) and _all_fit([item for value in values for item in value], shape[0])
    return _are(dict, values) and all(
        _all_fit([item for value in values for item in value.values()], inner)
        if name == ANY
        else all(name in value for value in values) and _all_fit([value[name] for value in values], inner)
        for name, inner in shape.items()
    )


def _are(kind: type, values: list[Any]) -> bool:
    return all(isinstance(value, kind) for value in values)


def _distinct(values: list[Any]) -> Iterable[Any]:
    """Each value once, where all are of one type (1 equals True) and may be members of a set."""
    try:
        return set(values) if len(set(map(type, values))) == 1 else values
    except TypeError:  # lists and objects
        return values


def _complain(value: Any, shape: Any, place: str, path: str) -> None:
    """Raise InputError about the first thing in `value` that does not fit. Of several shapes, the last is expected."""
    if isinstance(shape, tuple):
        if not _fits(value, shape):
            _complain(value, [one for one in shape if one is not nothing][-1], place, path)
    elif isinstance(shape, list):
        _expect(isinstance(value, list), value, "a list", place, path)
        for position, item in enumerate(value):
            _complain(item, shape[0], place, _join(path, position))
    elif isinstance(shape, dict):
        _expect(isinstance(value, dict), value, "an object", place, path)
        for name, inner in shape.items():
            for field in value if name == ANY else (name,):
                if field not in value:
                    raise InputError(f"{place}: {_join(path, field)} is missing")
                _complain(value[field], inner, place, _join(path, field))
    else:
        expected = shape.__doc__.rstrip(".")
        _expect(shape(value), value, expected[0].lower() + expected[1:], place, path)


def _expect(fits: bool, value: Any, expected: str, place: str, path: str) -> None:
    if not fits:
        raise InputError(f"{place}: {path or 'it'} is {value!r:.200}; expected {expected}")


def _join(path: str, field: object) -> str:
    return f"{path}.{field}" if path else str(field)
