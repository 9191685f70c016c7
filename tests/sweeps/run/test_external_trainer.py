import json
import sys
from pathlib import Path

import pytest
from small_study import StudyWriter
from typer.testing import CliRunner

from scaling.cli import app
from scaling.errors import InputError
from scaling.ledger.records import RESULT

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


@pytest.mark.parametrize("field", sorted(RESULT))
def test_every_field_of_a_result_is_in_the_docs(field: str) -> None:
    assert f"`{field}`" in (DOCS / "external-trainer.md").read_text()
