import json
import math
from dataclasses import dataclass

import numpy as np
import pytest

from scaling.system.console import emit


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
