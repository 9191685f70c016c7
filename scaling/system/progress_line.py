"""What a command says on stderr while it makes its user wait: one line, in place on a terminal, seldom in a file."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, Timer
from typing import TYPE_CHECKING

from scaling.console import log

if TYPE_CHECKING:
    from rich.live import Live

SECONDS_BETWEEN_LINES = 30.0
"""In a file: so a night's run leaves a thousand lines, not a hundred thousand."""

PATIENCE_SECONDS = 2.0
"""What takes no longer needs no word."""


_step = Lock()
"""Held while something is being done."""


class ProgressLine:
    """A line on stderr. On a terminal it is replaced in place, stays below what is logged, and is gone when closed.

    Elsewhere it is printed where `SECONDS_BETWEEN_LINES` have passed since the last one, or where it is news.
    """

    def __init__(self) -> None:
        self._live: Live | None = None
        self._next = 0.0
        self._closed = False
        self._lock = Lock()  # a timer shows, the main thread closes

    def show(self, text: str, *, news: bool = False) -> None:
        """Let the line read `text`; nothing once it is closed."""
        with self._lock:
            if self._closed:
                return
            if _in_place():
                self._replace(text)
            elif news or time.monotonic() >= self._next:
                log(text)
                self._next = time.monotonic() + SECONDS_BETWEEN_LINES

    def close(self) -> None:
        """Take the line off the terminal."""
        with self._lock:
            self._closed = True
            if self._live is not None:
                self._live.stop()
                self._live = None

    def _replace(self, text: str) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        if self._live is None:
            terminal = Console(stderr=True, highlight=False)
            self._live = Live(console=terminal, auto_refresh=False, transient=True, redirect_stdout=False)
            self._live.start()
        self._live.update(Text(text, no_wrap=True, overflow="ellipsis"), refresh=True)


@contextmanager
def announce_if_slow(what: str) -> Iterator[None]:
    """Say what is being done once it has taken `PATIENCE_SECONDS`. A step within a step has no word of its own."""
    if not _step.acquire(blocking=False):
        yield
        return
    line = ProgressLine()
    timer = Timer(PATIENCE_SECONDS, line.show, (f"{what} ...",))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        line.close()
        _step.release()


def _in_place() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
