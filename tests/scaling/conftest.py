from pathlib import Path

import pytest
from tiny_world import write_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Speech, models and a folder for study files; tests write their ledgers elsewhere."""
    return write_world(tmp_path_factory.mktemp("world"))
