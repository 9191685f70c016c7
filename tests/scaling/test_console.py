import json
import math

import numpy as np
import pytest

from scaling.console import emit


def test_a_document_is_json_whatever_numbers_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    document = {"cer": math.nan, "flops": np.int64(10**18), "curve": np.array([0.1, math.inf]), 7: (True, 10**30, 0.1)}
    emit(document, as_json=True, text="")
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert found == {"cer": None, "flops": 10**18, "curve": [0.1, None], "7": [True, 10**30, 0.1]}


def test_half_a_surrogate_pair_comes_out_as_its_escape(capsys: pytest.CaptureFixture[str]) -> None:
    emit({"text": "\ud800", "cer": math.nan}, as_json=True, text="")
    assert json.loads(capsys.readouterr().out.encode()) == {"text": "\ud800", "cer": None}
