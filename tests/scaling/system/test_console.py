import json
import math
from dataclasses import dataclass

import numpy as np
import pytest

from scaling.system.console import emit, log, one_line


@dataclass(frozen=True, slots=True)
class Row:
    text: str
    cer: float


def test_a_string_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    emit("two\nlines")
    assert capsys.readouterr().out == "two\nlines\n"


def test_a_document_is_json_whatever_numbers_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    document = {"cer": math.nan, "flops": np.int64(10**18), "curve": np.array([0.1, math.inf]), 7: (True, 10**30, 0.1)}
    emit(document)
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert found == {"cer": None, "flops": 10**18, "curve": [0.1, None], "7": [True, 10**30, 0.1]}


def test_half_a_surrogate_pair_comes_out_as_its_escape(capsys: pytest.CaptureFixture[str]) -> None:
    emit({"row": Row(text="\ud800", cer=math.nan)})
    assert json.loads(capsys.readouterr().out.encode()) == {"row": {"text": "\ud800", "cer": None}}


STEERS = ["\x1b[2J", "\x1b]0;PWN\x07", "\x9b31m", "\x7f", "\r", "\u202e", "\u2066", "\u2028", "\ufeff", "\x00", "\x85"]
STEERS += ["\u061c", "\u206e", "\u180e", "\ufff9"]


@pytest.mark.parametrize("name", STEERS)
def test_what_steers_a_terminal_is_written_as_an_escape(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    emit(f"a{name}b\n\tc")
    emit({"name": f"a{name}b"})
    log(f"a{name}b\nc")
    text, document, line = *capsys.readouterr().out.split("\n{", 1), capsys.readouterr().err
    assert json.loads("{" + document) == {"name": f"a{name}b"}
    assert not any(char in text + document + line for char in name if not char.isprintable())
    assert text.endswith("b\n\tc")


def test_a_logged_message_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    log("a\nerror: forged\tb")
    assert capsys.readouterr().err == "a\\nerror: forged\\tb\n"


def test_writing_of_every_language_stays_as_it_is() -> None:
    text = "你好\u3000世界 سلام \u200c می\u200dخواهم ñ é 🙂"
    assert one_line(text) == text
