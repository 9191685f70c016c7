"""The shape of JSON that another program, or a torn disk, may have written: which fields it must have, of which kinds.

A shape is a kind (a predicate, named for what it expects), a tuple of shapes of which one must fit, a list of one shape
for the items of a list, or a mapping: `{"name": shape}` for fields that must be there, `{ANY: shape}` for all.
"""

import math
from itertools import repeat
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
    if callable(shape):
        return bool(shape(value))
    if isinstance(shape, tuple):
        return any(_fits(value, one) for one in shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(map(_fits, value, repeat(shape[0])))
    if not isinstance(value, dict):
        return False
    for name, inner in shape.items():
        if name == ANY:
            if not all(map(_fits, value.values(), repeat(inner))):
                return False
        elif name not in value or not _fits(value[name], inner):
            return False
    return True


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
