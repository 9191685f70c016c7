"""Prefetching: items are prepared in a thread while the caller works on an earlier one; in order, and a few at most."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from types import TracebackType
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

DEPTH = 4
"""Items that are prepared ahead: enough to even out a slow file among quick ones, at little memory (assumption)."""


class Prefetcher(Generic[Item, Result]):
    """Yields `prepare(item)` for each of `items`; an error of `prepare` is raised in its item's turn.

    Nothing begins before the first item is asked for. Leaving the context ends the thread. `waited_seconds` is the time
    that the caller has waited so far.
    """

    def __init__(self, prepare: Callable[[Item], Result], items: Iterator[Item]) -> None:
        self.waited_seconds = 0.0
        self._prepare = prepare
        self._items = items
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prefetch")
        self._pending: deque[Future[Result]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._thread.shutdown(cancel_futures=True)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Result:
        for item in islice(self._items, 1 + DEPTH - len(self._pending)):
            self._pending.append(self._thread.submit(self._prepare, item))
        if not self._pending:
            raise StopIteration
        began = time.perf_counter()
        result = self._pending.popleft().result()
        self.waited_seconds += time.perf_counter() - began
        return result
