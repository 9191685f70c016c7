"""A study whose runs have learnt nothing: every verb answers, says so, and knows ends that have no bound."""

import json
import warnings

import pytest

RUNS = {
    "joint": [(2.256e9, 0.9932), (6.174e9, 1.013), (2.04e10, 0.9563), (4.004e10, 0.9802)],
    "frozen": [(2.236e9, 0.9788), (6.282e9, 0.9679), (2.027e10, 1.1188), (4.039e10, 1.1502)],
}
ASKED = {
    "fit": [],
    "predict": ["--flops", "1e11"],
    "compare": ["--baseline", "joint"],
    "recommend": ["--flops", "1e11"],
    "report": ["--out", "page"],
}


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [
        {"strategy": strategy, "flops": flops, "cer": cer, "seed": 0, "ref_chars": 1500}
        for strategy, points in RUNS.items()
        for flops, cer in points
    ]
    file = tmp_path / "runs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.mark.parametrize("verb", ASKED)
def test_every_verb_answers_without_a_complaint_of_a_library(asr_scaling, runs, verb):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        said = asr_scaling(verb, runs, *ASKED[verb])
    assert said.returncode == 0, said.stderr
    assert said.stdout
    assert "inf" not in said.stdout.replace("info", "").split()
    assert "inf%" not in said.stdout
    assert "no bound" in said.stdout or verb != "compare"  # an end of its interval, said as one


@pytest.mark.parametrize("verb", [verb for verb in ASKED if verb != "report"])  # whose document names its files
def test_every_verb_has_a_document_without_a_complaint_of_a_library(asr_scaling, runs, verb):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert json.loads(asr_scaling(verb, runs, *ASKED[verb], "--json").stdout)
