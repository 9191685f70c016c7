"""Every status and warning is explained, and nothing else is: in the verb and on the page."""

import ast
import json
import re
import shutil
from pathlib import Path
from typing import get_args

import pytest

import analysis
from analysis.glossary import FIT, HOW_TO_ASK, STATE, TERMS, WARNING, glossary_page
from analysis.notes import Status
from sweeps.progress.status import State

SOURCES = Path(analysis.__file__).parent
PAGE = SOURCES.parent / "docs" / "glossary.md"

OF_PLAN = {"too_few_budgets", "below_onset", "tuned_far_below"}
"""Warnings that `plan` gives and analysis does not."""


def codes_of_notes() -> set[str]:
    """Words in the first argument of every `Note(...)`, or that a variable named `code` may hold."""
    codes = set()
    for file in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            given: list[ast.expr] = []
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Note":
                given = node.args[:1]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "note_on_rows":
                given = node.args[1:2]
            elif isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "code" for target in node.targets):
                given = [node.value]
            elif isinstance(node, ast.Subscript) and getattr(node.value, "id", "") == "left_out":
                given = [node.slice.elts[0]] if isinstance(node.slice, ast.Tuple) else []
            for expression in given:
                values = (part.value for part in ast.walk(expression) if isinstance(part, ast.Constant))
                codes |= {value for value in values if isinstance(value, str) and re.fullmatch("[a-z_0-9]+", value)}
    return codes


def explained(of: str) -> set[str]:
    return {term.code for term in TERMS if term.of == of}


def test_every_warning_is_explained_and_every_explained_warning_exists() -> None:
    codes = codes_of_notes()
    assert {"not_ok", "extrapolation_100x", "one_model_size", "duplicate"} <= codes
    assert codes - explained(WARNING) == set(), "explain these in analysis/glossary.py"
    assert explained(WARNING) - codes == OF_PLAN


def test_every_status_is_explained() -> None:
    assert explained(FIT) == set(get_args(Status))
    assert explained(STATE) == {state.value for state in State}


def test_the_page_in_docs_is_what_the_program_says() -> None:
    assert PAGE.read_text("utf-8") == glossary_page(), "asr-scaling explain --markdown > docs/glossary.md"


def test_explain_answers_for_a_code_and_names_the_nearest(asr_scaling) -> None:
    found = json.loads(asr_scaling("explain", "narrow_range", "--json").stdout)
    assert [term["code"] for term in found] == ["narrow_range"]
    assert {term["of"] for term in json.loads(asr_scaling("explain", "ok", "--json").stdout)} >= {FIT}
    listed, told = (asr_scaling("explain", *option).stdout for option in ((), ("--all",)))
    assert len(listed.splitlines()) < 25
    assert all(term.code in listed for term in TERMS)
    assert all(term.meaning.split()[0] in told for term in TERMS)
    assert len(told.splitlines()) > 100
    wrong = asr_scaling("explain", "narow_range")
    assert wrong.returncode == 2
    assert "did you mean 'narrow_range'" in wrong.stderr


@pytest.mark.parametrize("arguments", [("fit",), ("predict", "--flops", "8e11"), ("recommend", "--flops", "8e11")])
def test_answers_with_warnings_say_where_codes_are_explained(asr_scaling, tmp_path, arguments) -> None:
    verb, *options = arguments
    study = shutil.copytree(SOURCES.parent / "results" / "quickstart", tmp_path / "quickstart")
    said = asr_scaling(verb, study, *options).stdout
    assert said.count(HOW_TO_ASK) == 1
