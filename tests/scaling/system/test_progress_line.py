import os
import pty
import subprocess
import sys
import threading

import pytest

from scaling.system import progress_line as waiting
from scaling.system.progress_line import ProgressLine, announce_if_slow

ON_A_TERMINAL = """
from scaling.system.console import log
from scaling.system.progress_line import ProgressLine
line = ProgressLine()
line.show("half of it")
log("something happened")
line.show("all of it")
print("the result")
line.close()
"""


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_in_a_file_a_line_is_printed_again_only_as_news_or_after_its_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(waiting.time, "monotonic", lambda: now)
    line = ProgressLine()
    for now in (100.0, 129.0, 131.0):
        line.show(f"at {now:g}")
    line.show("a failure", news=True)
    line.close()
    line.show("too late", news=True)
    assert printed(capsys) == ["at 100", "at 131", "a failure"]


def test_on_a_terminal_one_line_is_replaced_in_place_and_gone_in_the_end() -> None:
    terminal, end = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    command = [sys.executable, "-c", ON_A_TERMINAL]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=end, env=environment, check=True)
    os.close(end)
    assert done.stdout == b"the result\n"
    assert screen(os.read(terminal, 100_000).decode()) == ["something happened"]
    os.close(terminal)


def screen(written: str) -> list[str]:
    """Lines that a terminal shows after these characters: text, erased lines (CSI 2K), moves up (CSI 1A)."""
    lines, row = [""], 0
    for piece in written.replace("\r\n", "\n").replace("\x1b", "\0\x1b").replace("\n", "\0\n\0").split("\0"):
        if piece == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif piece.startswith("\x1b[2K"):
            lines[row] = piece[4:].strip("\r")
        elif piece.startswith("\x1b[1A"):
            row -= 1
        elif not piece.startswith("\x1b"):
            lines[row] += piece.strip("\r")
    return [line for line in lines if line]


class Said:
    """What was logged, by whichever thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lines: list[str] = []
        self.something = threading.Event()
        monkeypatch.setattr(waiting, "log", self._log)

    def _log(self, text: str) -> None:
        self.lines.append(text)
        self.something.set()


def test_a_step_says_what_it_is_once_it_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    said = Said(monkeypatch)
    monkeypatch.setattr(waiting, "PATIENCE_SECONDS", 1000.0)
    with announce_if_slow("what is quick"):
        pass
    monkeypatch.setattr(waiting, "PATIENCE_SECONDS", 0.01)
    with announce_if_slow("fitting laws"):
        assert said.something.wait(10)
    assert said.lines == ["fitting laws ..."]


def test_a_step_within_a_step_has_no_word_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    said = Said(monkeypatch)
    monkeypatch.setattr(waiting, "PATIENCE_SECONDS", 1000.0)
    with announce_if_slow("the whole"):
        monkeypatch.setattr(waiting, "PATIENCE_SECONDS", 0.01)
        with announce_if_slow("a part"):
            assert not said.something.wait(0.2)
    with announce_if_slow("the next"):
        assert said.something.wait(10)
    assert said.lines == ["the next ..."]
