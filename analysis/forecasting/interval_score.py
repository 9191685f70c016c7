"""The interval score, which rewards intervals that are narrow and hold the truth: no way of cheating it pays.

Gneiting and Raftery, "Strictly Proper Scoring Rules, Prediction, and Estimation" (2007), equation 43; here of logs.
"""

import math

SMALLEST = 1e-12
"""A lower end below this is taken for this: zero has no log."""


def interval_score(low: float, high: float, truth: float, level: float) -> float:
    """The score of an interval that is said to hold `truth` with probability `level`, in logs; less is better.

    It is the width, and 2 / (1 - level) times what the truth lies outside.

    >>> round(interval_score(1.0, math.e, 2.0, 0.9), 6), round(interval_score(1.0, math.e, math.e**2, 0.9), 6)
    (1.0, 21.0)
    """
    log_low, log_high, log_truth = math.log(max(low, SMALLEST)), math.log(high), math.log(truth)
    outside = max(0.0, log_low - log_truth) + max(0.0, log_truth - log_high)
    return log_high - log_low + 2.0 / (1.0 - level) * outside
