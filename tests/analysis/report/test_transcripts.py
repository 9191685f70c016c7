"""A report shows texts of the study only where it is asked for, and then what the runs wrote and nothing else."""

import json

import pytest
from pages import page_without_figures
from planted import PLANTED, write_planted

from analysis.report.findings import findings_of
from analysis.report.report import write_report
from analysis.report.transcript_examples import examples_of
from scaling.errors import InputError

BREAKING = "</script><img src=x>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A study of two strategies and three budgets with the transcripts of ten utterances for each run."""
    study = write_planted(
        tmp_path_factory.mktemp("told"),
        budgets=3,
        noise=0.02,
        encoders=("mini-s", "mini-m"),
        strategies=("efin", "joint"),
    )
    (study / "utterances").mkdir()
    for line in (study / "runs.jsonl").read_text().splitlines():
        key = json.loads(line)["key"]
        heard = [
            {
                "test": "clean",
                "id": f"u{k}",
                "ref": f"reference {k}",
                "hyp": f"{key} {k} {BREAKING}",
                "errors": k,
                "ref_chars": 20,
            }
            for k in range(10)
        ]
        (study / "utterances" / f"{key}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in heard))
    return study


@pytest.fixture(scope="module")
def findings(folder):
    return findings_of(folder)


def test_without_being_asked_no_text_is_in_the_page(findings):
    text = page_without_figures(findings)
    assert "reference 5" not in text
    assert "What they write" not in text


def test_examples_are_spread_over_the_test_and_hold_each_budget_of_the_best_pair(folder, findings):
    first, second = examples_of(findings, folder, 2)
    assert (first.name, first.reference, second.name) == ("clean u0", "reference 0", "clean u5")
    assert [one.strategy for one in second.hypotheses] == ["efin"] * 3 + ["joint"] * 3
    for strategy in ("efin", "joint"):
        told = [one for one in second.hypotheses if one.strategy == strategy]
        assert [one.budget for one in told] == list(findings.budgets)
        assert all(one.text.startswith(f"{strategy}-mini-m-") and one.text.endswith(f"-0 5 {BREAKING}") for one in told)
        assert [one.cer for one in told] == [0.25] * 3


def test_texts_stay_texts_in_the_page(folder, findings):
    text = page_without_figures(findings, examples_of(findings, folder, 3))
    assert text.count("<summary>reference") == 3
    assert BREAKING not in text
    assert "&lt;/script&gt;&lt;img src=x&gt;" in text


def test_transcripts_that_are_not_there_or_damaged_are_said(folder, tmp_path):
    planted = write_planted(tmp_path / "bare", budgets=3, strategies=tuple(PLANTED)[:1])
    with pytest.raises(InputError, match=r"--examples: .*utterances: no transcripts"):
        write_report(planted, examples=1)
    assert [file.name for file in planted.iterdir() if "report" in file.name] == []
    (planted / "utterances").mkdir()
    for line in (planted / "runs.jsonl").read_text().splitlines():
        (planted / "utterances" / f"{json.loads(line)['key']}.jsonl").write_text('{"hyp": 3, "ref": "a"}\n')
    with pytest.raises(InputError, match=r"jsonl:1: expected `ref` and `hyp` as texts"):
        write_report(planted, examples=1)
