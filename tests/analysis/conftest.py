"""Planted studies, and published tables."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from planted import write_planted


@pytest.fixture
def write_study(tmp_path: Path) -> Callable[..., Path]:
    """Writes DIR/runs.jsonl of a planted study and returns DIR."""
    return partial(write_planted, tmp_path / "study")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of published tables; tests that need it skip where it is absent."""
    root = os.environ.get("ASR_SCALING_SHARED") or Path(__file__).parents[3] / "shared"
    data = Path(root) / "data"
    if not data.is_dir():
        pytest.skip(f"published tables are not at {data}")
    return data
