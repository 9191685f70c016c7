"""The root of a falling function of FLOPs. By our own bisection rather than scipy, whose import costs seconds."""

import math
from collections.abc import Callable

REACH = 1e6
"""The root is searched within this factor of the starting point; no law has been tested farther away."""

FIRST_STRIDE = math.log(1.5)
"""The first step of the search, in log FLOPs."""

EXACT, ROUGH = 1e-8, 5e-3
"""Tolerances as shares of the FLOPs: for a curve, and for an end of an interval, which is itself not known better."""


def crossing(falling: Callable[[float], float], around_flops: float, tolerance: float = EXACT) -> float:
    """The FLOPs at which `falling`, a function of FLOPs, passes from positive to negative.

    0 where it is still negative REACH times below `around_flops`, infinity where it is still positive REACH times
    above.

    >>> round(crossing(lambda flops: 8.0 - flops, 1.0), 3)
    8.0
    >>> crossing(lambda flops: 1.0 / flops, 1.0)
    inf
    """
    start = math.log(around_flops)
    value = falling(around_flops)
    upwards = value > 0.0
    near, near_value = start, value
    stride = FIRST_STRIDE if upwards else -FIRST_STRIDE
    while True:
        far = near + stride
        if abs(far - start) > math.log(REACH):
            return math.inf if upwards else 0.0
        far_value = falling(math.exp(far))
        if (far_value > 0.0) != upwards:
            return math.exp(_root(falling, (near, near_value), (far, far_value), tolerance))
        near, near_value, stride = far, far_value, 1.7 * stride


def _root(
    falling: Callable[[float], float], near: tuple[float, float], far: tuple[float, float], tolerance: float
) -> float:
    """The root in log FLOPs between two places and their values, by false position with halved weights (Illinois)."""
    (a, value_a), (b, value_b) = near, far
    for _ in range(60):
        share = value_a / (value_a - value_b) if math.isfinite(value_a - value_b) else 0.5
        middle = a + share * (b - a)
        value = falling(math.exp(middle))
        if value == 0.0 or abs(b - a) <= tolerance:
            return middle
        if (value > 0.0) == (value_b > 0.0):
            value_a *= 0.5
        else:
            a, value_a = b, value_b
        if abs(middle - b) <= tolerance * 0.1:
            return middle
        b, value_b = middle, value
    return b
