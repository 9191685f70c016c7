"""The lowest place of functions in a box of two or three dimensions, by grids that close in.

scipy's optimisers are not used: their import costs seconds, and they search for one function at a time, where a
bootstrap has a function for each of its draws.
"""

from collections.abc import Callable

import numpy as np

from analysis.fitting.laws import Array

GRID, ZOOM, ZOOMS = 17, 4.0, 4
"""Each zoom looks at 17 places an axis over a quarter of the range before: 0.1 % of the whole at the end."""


def lowest_in_box(values: Callable[[Array], Array], box_2K: Array, lanes: int) -> Array:
    """Where each of the functions (lanes) is lowest, (lanes, k). `values` maps places (lanes, g, k) to (lanes, g);
    `box_2K` holds the lower and upper ends.

    >>> lowest_in_box(lambda x: ((x - 0.3) ** 2).sum(-1), np.array([[0.0, 0.0], [1.0, 0.1]]), 1).round(3).tolist()
    [[0.3, 0.1]]
    """
    axis = np.linspace(-0.5, 0.5, GRID)
    places = np.stack(np.meshgrid(*[axis] * box_2K.shape[1], indexing="ij"), axis=-1).reshape(-1, box_2K.shape[1])
    centre, reach = np.repeat(box_2K.mean(0)[None, :], lanes, 0), np.ptp(box_2K, axis=0)
    for _ in range(ZOOMS):
        points = np.clip(centre[:, None, :] + places[None, :, :] * reach, box_2K[0], box_2K[1])
        centre = points[np.arange(lanes), np.argmin(values(points), axis=1)]
        reach = reach / ZOOM
    return centre
