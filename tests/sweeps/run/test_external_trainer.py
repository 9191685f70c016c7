import ast
import inspect
import json
import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from small_study import StudyWriter
from typer.testing import CliRunner

from scaling.cli import app
from scaling.errors import InputError
from scaling.ledger.hearing import Hearing
from scaling.ledger.plan_file import PlanFile, Source, WorkItem
from scaling.ledger.records import Event, NodeResult, Scores, Spent
from scaling.spec import node_to_json
from sweeps.plan.prepare import prepare

DOCS = Path(__file__).parents[3] / "docs"


def test_the_example_in_the_docs_works_through_a_study(write_study: StudyWriter, tmp_path: Path) -> None:
    out = tmp_path / "out"
    worker = f"{sys.executable} {DOCS / 'external_trainer.py'}"
    arguments = ["run", str(write_study()), "--out", str(out), "--worker", worker, "--workers", "2", "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["rows"]
    assert [row["status"] for row in rows] == ["ok"] * 6
    assert {row["cer"] for row in rows} == {0.1}
    assert not list(out.glob("stages/*/attempts/0002"))


def test_a_worker_that_is_no_program_is_refused_before_anything_is_written(
    write_study: StudyWriter, tmp_path: Path
) -> None:
    arguments = ["run", str(write_study()), "--out", str(tmp_path / "out"), "--worker", "no-such-trainer --fast"]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, InputError)
    assert "no such program" in str(result.exception)
    assert not (tmp_path / "out").exists()


def field_table(kind: type[Any]) -> str:
    """The fields of a record as a table for the docs, with the docstrings that stand below them in the code."""
    (definition,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(definition, ast.ClassDef)
    schema = TypeAdapter(kind).json_schema()
    names = iter(schema["properties"])
    lines = ["| field | needed | meaning |", "|---|---|---|"]
    for field, docstring in pairwise(definition.body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and field.target.id[0] != "_":
            name = next(names)
            assert isinstance(docstring, ast.Expr), f"{kind.__name__}.{name} has no docstring"
            assert isinstance(docstring.value, ast.Constant)
            meaning = " ".join(str(docstring.value.value).split())
            lines.append(f"| `{name}` | {'yes' if name in schema['required'] else 'no'} | {meaning} |")
    return "\n".join(lines)


@pytest.mark.parametrize("kind", [NodeResult, Spent, Scores, Hearing, Event, PlanFile, WorkItem, Source])
def test_the_docs_hold_the_fields_of_each_record_as_the_code_explains_them(kind: type[Any]) -> None:
    assert field_table(kind) in (DOCS / "external-trainer.md").read_text()


def test_the_docs_name_what_a_node_has(write_study: StudyWriter, tmp_path: Path) -> None:
    prepared = prepare(str(write_study()), [], None)
    fields = set(node_to_json(next(iter(prepared.plan.nodes.values())).node))
    section = (DOCS / "external-trainer.md").read_text().partition("## `stage.json`")[2].partition("\n## ")[0]
    first_cells = "".join(line.split("|")[1] for line in section.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`(\w+)`", first_cells)) == fields
