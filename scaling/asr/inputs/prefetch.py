"""What comes next, prepared in a thread while the present is worked on; in order, and bounded."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from types import TracebackType
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")

DEPTH = 4
"""Items under way: enough to even out a slow file among quick ones, little memory."""


class Prefetcher(Generic[Item, Made]):
    """Yields `make(item)` for each of `items`; an error of `make` is raised where its item would have come.

    Nothing is begun before the first is asked for. Leaving the context ends the thread. `waited_seconds` is how long
    the reader has waited in all.
    """

    def __init__(self, make: Callable[[Item], Made], items: Iterator[Item]) -> None:
        self.waited_seconds = 0.0
        self._make = make
        self._items = items
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead")
        self._coming: deque[Future[Made]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._thread.shutdown(cancel_futures=True)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Made:
        for item in islice(self._items, 1 + DEPTH - len(self._coming)):
            self._coming.append(self._thread.submit(self._make, item))
        if not self._coming:
            raise StopIteration
        began = time.perf_counter()
        made = self._coming.popleft().result()
        self.waited_seconds += time.perf_counter() - began
        return made
