"""The array type that several packages hand to each other."""

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
"""Whole numbers: samples, frames, tokens or FLOPs. Sums of FLOPs in an array must stay below 2**63."""
