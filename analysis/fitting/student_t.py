"""Quantiles of Student's t for whole degrees of freedom, in closed form: `predict` must not import scipy."""

import math
from functools import cache


@cache
def t_quantile(probability: float, dof: int) -> float:
    """The t below which `probability` (0.5 to 1) of the mass lies. Infinite for no degrees of freedom.

    >>> round(t_quantile(0.95, 10), 6)
    1.812461
    """
    if dof < 1:
        return math.inf
    low, high = 0.0, 1.0
    while _cdf(high, dof) < probability:
        high *= 2.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        low, high = (middle, high) if _cdf(middle, dof) < probability else (low, middle)
    return 0.5 * (low + high)


def _cdf(t: float, dof: int) -> float:
    """Abramowitz and Stegun 26.7.3 and 26.7.4; above 10,000 degrees of freedom the normal law (error below 1e-4)."""
    if dof > 10_000:
        return 0.5 * (1.0 + math.erf(t / math.sqrt(2.0)))
    angle = math.atan(t / math.sqrt(dof))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = dof % 2 == 1
    term = cosine if odd else 1.0
    total = term if dof > 1 else 0.0
    for k in range(3 if odd else 2, dof - 1, 2):
        term *= cosine * cosine * (k - 1) / k
        total += term
    within = (2.0 / math.pi) * (angle + sine * total) if odd else sine * total
    return 0.5 * (1.0 + within)
