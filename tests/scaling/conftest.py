"""Speech, models and a study trained once a session, for all tests that only read them."""

import importlib
import io
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from tiny_world import ENCODER_ONLY, Finished, train_study, write_study, write_world

from sweeps.finished import transcribe_export as use


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


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `transcribe_export` starts as `python -m MODULE` runs here, where everything is imported already."""

    def run(module: str, arguments: Sequence[str], lines: str) -> str:
        said = io.StringIO()
        with monkeypatch.context() as patch, redirect_stdout(said):
            patch.setattr(sys, "argv", [module, *arguments])
            patch.setattr(sys, "stdin", io.StringIO(lines))
            assert importlib.import_module(module).main() == 0
        return said.getvalue()

    monkeypatch.setattr(use, "_run", run)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept of a corpus lies in the folder of the test."""
    monkeypatch.setenv("ASR_SCALING_CACHE", str(tmp_path / "cache"))
