from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Speech, models and a folder for study files; tests write their ledgers elsewhere."""
    from tiny_world import write_world

    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Indexes go to a folder of this test session, not to the user's cache."""
    patch = pytest.MonkeyPatch()
    patch.setenv("ASR_SCALING_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()
