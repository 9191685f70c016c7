"""Progress on stderr while a user waits: one line that is replaced in place on a terminal, or few lines in a file."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, Timer
from typing import Any

from scaling.system.console import log, one_line

SECONDS_BETWEEN_LINES = 30.0
"""The least time between two lines in a file: a night then leaves a thousand lines."""

PATIENCE_SECONDS = 2.0
"""Steps that take no longer are not announced."""

_step = Lock()
"""Held during a step, so that a step within a step is not announced."""


class ProgressLine:
    """A line on stderr. On a terminal it is replaced in place below the logged lines, and removed when it is closed.

    In a file a line is printed where `SECONDS_BETWEEN_LINES` have passed since the last one, or where it is news.
    """

    def __init__(self) -> None:
        self._live: Any = None  # a rich.live.Live, which takes long to import
        self._next = 0.0
        self._closed = False
        self._lock = Lock()  # a timer thread may call show, the main thread close

    def show(self, text: str, *, news: bool = False) -> None:
        """Show `text` in the line, unless the line is closed."""
        with self._lock:
            if self._closed:
                return
            if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb":
                self._replace(text)
            elif news or time.monotonic() >= self._next:
                log(text)
                self._next = time.monotonic() + SECONDS_BETWEEN_LINES

    def close(self) -> None:
        """Remove the line from the terminal."""
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
        self._live.update(Text(one_line(text), no_wrap=True, overflow="ellipsis"), refresh=True)


@contextmanager
def announce_if_slow(what: str) -> Iterator[None]:
    """Announce the step `what` once it has taken `PATIENCE_SECONDS`. Steps within a step are not announced."""
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
