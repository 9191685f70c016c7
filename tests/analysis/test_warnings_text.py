"""Warnings below an answer: whole sentences, each kind of warning once, with what to do and whom it is about."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from analysis.glossary import FIT, HOW_TO_ASK, TERMS
from analysis.notes import Note, as_text
from analysis.warnings_text import warnings_text

PUBLISHED = Path(__file__).parents[2] / "results"


def curve(label: str, *notes: Note) -> SimpleNamespace:
    return SimpleNamespace(label=label, warnings=notes)


def span(decades: float) -> Note:
    return Note("narrow_range", f"The budgets span {decades} decades of FLOPs.")


ONE_SEED = Note("one_seed", "All runs have one seed.")


def test_no_warning_is_no_line() -> None:
    assert warnings_text([]) == ""


def test_what_to_do_is_said_once_for_many_curves_and_each_is_named() -> None:
    curves = [
        curve("efin", span(1.5), ONE_SEED),
        curve("joint", span(1.2), ONE_SEED),
        curve("frozen", span(1.2), ONE_SEED),
    ]
    narrow, seed, where = warnings_text([], curves).strip("\n").splitlines()
    assert narrow.startswith("  ! efin: The budgets span 1.5 decades of FLOPs. joint and frozen: The budgets span 1.2 ")
    assert narrow.count("add smaller or larger budgets") == 1
    assert narrow.endswith("[narrow_range]")
    assert seed.startswith("  ! All runs have one seed. Add seeds")
    assert HOW_TO_ASK in where


def test_many_findings_of_a_kind_are_counted() -> None:
    curves = [curve(f"system{i}", span(1.0 + i / 100)) for i in range(40)]
    (line, _) = warnings_text([], curves).strip("\n").splitlines()
    assert "system1: " in line
    assert "system2: " not in line
    assert "(And 38 more of the kind: see --json.)" in line


def test_a_program_reads_the_code_first_and_the_same_sentences() -> None:
    assert as_text([ONE_SEED, ONE_SEED]) == [f"one_seed: {ONE_SEED.text}"]
    assert ONE_SEED.text.startswith("All runs have one seed. Add seeds")


def test_every_warning_says_what_to_do_in_whole_sentences() -> None:
    for term in TERMS:
        assert re.fullmatch(r"[A-Z`].*\.", term.meaning), term.code
        assert term.code in ("ok", "done") or re.fullmatch(r"[A-Z`].*[.\]}]\.?", term.advice), term.code


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the published studies, because `fit` keeps its fits beside the runs."""
    folder = tmp_path_factory.mktemp("published")
    for study in ("quickstart", "miniature"):
        shutil.copytree(PUBLISHED / study, folder / study)
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        ("fit", "quickstart"),
        ("compare", "quickstart", "--baseline", "joint"),
        ("predict", "quickstart", "--flops", "5e12"),
        ("recommend", "miniature", "--flops", "8e11"),
        ("recommend", "quickstart", "--cer", "1e-5"),
        ("laws", "quickstart", "--strategy", "efin", "--flops", "1e13"),
        ("design", "quickstart", "--flops", "1e13", "--spend", "1e12"),
        ("forecast", "quickstart", "--register", "--flops", "2e12,4e12"),
        ("forecast", "quickstart"),
    ],
)
def test_answers_hold_no_private_word_and_fit_eighty_columns(asr_scaling, published, arguments) -> None:
    verb, study, *options = arguments
    said = asr_scaling(verb, published / study, *options, COLUMNS="80").stdout
    assert max(len(line) for line in said.splitlines() if "/" not in line) <= 80
    answer = re.sub(r"\[[a-z_0-9]+\]", "", said)  # codes that end a warning
    assert re.findall(r"\b(?:one_\w+|winners_\w+|not_[a-z]+|at_bound|too_few_\w+|no_fall)\b|\(x\d", answer) == []
    assert not {term.code for term in TERMS if term.of == FIT} - {"ok"} & set(answer.split())
    for warning in re.findall(r"^  ! (.*(?:\n    .*)*)", said, re.MULTILINE):
        assert re.fullmatch(r".*[.)}] \[[a-z_0-9]+\]", " ".join(warning.split())), warning
