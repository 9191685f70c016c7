"""Every test session has a cache of its own: nothing is read from, or left in, the user's."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setenv("ASR_SCALING_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()
