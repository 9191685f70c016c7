"""A report with everything in it, written once a session."""

import json
from pathlib import Path
from typing import Any

import pytest
from planted import SMALLEST_FLOPS, recorded, write_planted
from typer.testing import CliRunner

from analysis.cli import app


@pytest.fixture(scope="session")
def full_report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder of a planted study whose report `asr-scaling report` has written there, and what that said: 36 runs of
    three strategies, two pairs of models and six budgets, and a run that was forecast. Tests only read it.
    """
    folder = write_planted(
        tmp_path_factory.mktemp("runs"), budgets=6, seeds=1, encoders=("mini-s", "mini-m"), noise=0.03, change=recorded
    )
    (folder / "forecast").mkdir()
    run = {"strategy": "efin", "encoder": "mini-s", "llm": "mini-m", "flops": 3 * SMALLEST_FLOPS * 10**2.5, "cer": 0.07}
    (folder / "forecast" / "runs.jsonl").write_text(json.dumps(run) + "\n")
    result = CliRunner().invoke(app, ["report", str(folder), "--json"], catch_exceptions=False)
    return folder, json.loads(result.stdout)
