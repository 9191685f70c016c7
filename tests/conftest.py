"""Every test session has a cache of its own, and leaves out what takes minutes or needs more than Python, saying so."""

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout

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


@pytest.fixture(scope="session")
def asr_scaling() -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line as a shell starts it, but in this process: its exit code, and what it said."""
    from scaling.cli import main
    from scaling.system.console import log_once

    def ask(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        said, erred, code = io.StringIO(), io.StringIO(), 0
        log_once.cache_clear()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(erred):
            patch.setattr(sys, "argv", ["asr-scaling", *map(str, arguments)])
            patch.delenv("COLUMNS", raising=False)
            for name, value in environment.items():
                patch.setenv(name, value)
            try:
                main()
            except SystemExit as left:
                code = int(left.code or 0)
        return subprocess.CompletedProcess(arguments, code, said.getvalue(), erred.getvalue())

    return ask
