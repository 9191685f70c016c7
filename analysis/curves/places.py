"""Places where a law is asked: a positive number for each of its columns."""

from collections.abc import Mapping, Sequence
from numbers import Real

from analysis.curves.curves import Curve
from analysis.tables.usable_rows import LARGEST
from scaling.errors import InputError, nearest


def positive(what: str, value: float) -> float:
    """`value`, if a positive number below `LARGEST`. Raises InputError, naming `what`, for anything else."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0.0 < value < LARGEST:
        shown = value if isinstance(value, Real) else repr(value)
        raise InputError(f"{what}: {shown}, expected a positive number below {LARGEST:g}")
    return value


def places(curve: Curve, what: str, given: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """The columns of the curve's law, each as it was given.

    Raises InputError, naming `what`, for a column that the law does not have, one that is missing, and a number that is
    not positive.
    """
    columns = list(curve.domain)
    for name in given:
        if name not in columns:
            raise InputError(f"{what}: the law has no column {name!r}{nearest(name, columns)}")
    if missing := [name for name in columns if name not in given]:
        raise InputError(f"{what}: {', '.join(missing)} missing; the law needs {', '.join(columns)}")
    return {name: [positive(f"{what} {name}", value) for value in given[name]] for name in columns}
