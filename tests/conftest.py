"""Every test session has a cache of its own, and leaves out what takes minutes or needs more than Python, saying so."""

import os
from collections.abc import Iterator

import pytest

os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is imported; products this small gain nothing from more

NEEDS = {"slow": "--slow", "gpu": "--gpu", "slurm": "--slurm", "ray": "--ray"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests that take minutes each")
    parser.addoption("--gpu", action="store_true", help="run the tests that need an accelerator")
    parser.addoption("--slurm", action="store_true", help="run the tests on a Slurm of their own (root)")
    parser.addoption("--ray", action="store_true", help="run the tests on a Ray cluster of their own (root)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        for mark, option in NEEDS.items():
            if item.get_closest_marker(mark) and not config.getoption(option):
                item.add_marker(pytest.mark.skip(reason=f"{mark}: run with `make test-{mark}`"))


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setenv("ASR_SCALING_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()
