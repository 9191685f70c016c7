"""Tables and sentences fit the terminal, nothing is lost or torn, and colour is for terminals alone."""

import os
import pty
import subprocess
import sys

import pytest
from rich.cells import cell_len

from scaling.system.console import emit
from scaling.system.text_table import JOIN, text_table

HEADER = ["strategy", "FLOPs", "CER saved"]
ROWS = [
    ["frozen_encoder (whisper-medium + Qwen2.5-1.5B)", "4.001e+11", f"-163.9% [-203.1%,{JOIN}-128.0%]"],
    ["efin (whisper-small + Qwen2.5-0.5B)", "8e+11", f"4.9% [-11.1%,{JOIN}19.3%]"],
]
SENTENCE = (
    "  ! The budgets span 1.20 decades of FLOPs, and the curve is in [0.03968, 0.06527] for all that. [narrow_range]"
)


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_a_table_fits_the_terminal_and_keeps_every_word(monkeypatch, width) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    found = text_table(HEADER, ROWS)
    assert max(map(len, found.splitlines())) <= width
    words = " ".join(cell for row in [HEADER, *ROWS] for cell in row).replace(JOIN, " ").split()
    assert sorted(found.split()) == sorted(words)
    assert "[-203.1%, -128.0%]" in found
    assert (len(found.splitlines()) == 3) == (width >= 95)


def test_a_table_in_a_pipe_takes_eighty_columns_and_a_sentence_stays_on_its_line(monkeypatch, capsys) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    emit(text_table(HEADER, ROWS) + "\n" + SENTENCE)
    *table, sentence = capsys.readouterr().out.splitlines()
    assert max(map(len, table)) <= 80
    assert sentence == SENTENCE


def test_columns_of_mandarin_names_stand_below_one_another() -> None:
    header, first, second = text_table(["name", "CER"], [["普通话", "0.1"], ["joint", "0.2"]]).splitlines()
    assert cell_len(first[: first.index("0.1")]) == second.index("0.2") == header.index("CER")


@pytest.mark.parametrize("width", [40, 80])
def test_a_sentence_is_wrapped_between_words_and_an_interval_stays_whole(monkeypatch, capsys, width) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    emit(SENTENCE)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert " ".join(" ".join(lines).split()) == " ".join(SENTENCE.split())
    assert all(line.startswith("    ") for line in lines[1:])
    assert any("[0.03968, 0.06527]" in line for line in lines)


def test_data_is_never_wrapped(monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    emit(SENTENCE, as_is=True)
    assert capsys.readouterr().out == SENTENCE + "\n"


def said_on_a_terminal(**environment: str) -> str:
    """What a terminal shows of a table and a sentence."""
    ours, theirs = pty.openpty()
    program = f"from scaling.system.console import emit; emit('strategy  status\\nefin      ok\\n' + {SENTENCE!r})"
    plain = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}
    given = {**plain, "TERM": "xterm-256color", **environment}
    subprocess.run([sys.executable, "-c", program], stdout=theirs, env=given, check=True)
    os.close(theirs)
    with os.fdopen(ours, "rb") as terminal:
        return terminal.read1(100_000).decode().replace("\r\n", "\n")


def test_a_terminal_shows_colour_unless_the_user_wants_none() -> None:
    coloured, plain = said_on_a_terminal(), said_on_a_terminal(NO_COLOR="1")
    assert "\x1b[1mstrategy  status\x1b[0m" in coloured
    assert "\x1b[32mok" in coloured
    assert "\x1b[2m[narrow_range]" in coloured
    assert "\x1b[3" not in plain
