"""Speech, models and a study trained once a session, for all tests that only read them."""

from pathlib import Path

import pytest
from tiny_world import Finished, train_study, write_study, write_world

ENCODER_ONLY = {
    "name": "encoder-only",
    "stages": [{"name": "encoder", "objective": "asr", "trains": ["encoder", "asr_decoder"], "share": 1.0}],
}
"""Writes through the encoder's own decoder."""


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Speech, models and a folder for study files; tests write their ledgers elsewhere."""
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def finished(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A finished study of efin, joint and encoder-only. Tests read it, and write nothing into its folder."""
    out = tmp_path_factory.mktemp("finished")
    rows = train_study(write_study(world, budgets_flops=[4e8], strategies=["efin", "joint", ENCODER_ONLY]), out)
    return Finished(out, {row["strategy"]: row for row in rows})
