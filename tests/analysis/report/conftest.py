"""A report with everything in it, written once a session."""

import json
from pathlib import Path
from typing import Any

import pytest
from planted import SMALLEST_FLOPS, recorded, write_planted
from typer.testing import CliRunner, Result

from analysis.cli import app


@pytest.fixture(scope="session")
def full_report(written_report: tuple[Path, Result]) -> tuple[Path, dict[str, Any]]:
    """The folder of the report, and the document that `asr-scaling report` printed. Tests only read it."""
    folder, result = written_report
    return folder, json.loads(result.stdout)


@pytest.fixture(scope="session")
def written_report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """The folder of a planted study whose report `asr-scaling report` has written there, and what that said: 36 runs of
    three strategies, two pairs of models and six budgets, and a run that was forecast. Every step counts as slow.
    """
    folder = write_planted(
        tmp_path_factory.mktemp("runs"), budgets=6, seeds=1, encoders=("mini-s", "mini-m"), noise=0.03, change=recorded
    )
    (folder / "forecast").mkdir()
    run = {"strategy": "efin", "encoder": "mini-s", "llm": "mini-m", "flops": 3 * SMALLEST_FLOPS * 10**2.5, "cer": 0.07}
    (folder / "forecast" / "runs.jsonl").write_text(json.dumps(run) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scaling.system.progress_line.PATIENCE_SECONDS", 0.0)
        return folder, CliRunner().invoke(app, ["report", str(folder), "--json"], catch_exceptions=False)
