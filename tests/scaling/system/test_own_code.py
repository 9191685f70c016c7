"""Whatever lies in the folder where a command is given, only our code and installed packages are imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scaling.system.own_code import python_module

ROOT = Path(__file__).parents[3]


@pytest.fixture
def strange_folder(tmp_path: Path) -> Path:
    """A folder with modules that are named like ours and like packages that we use, and that say so when imported."""
    folder = tmp_path / "strange"
    (folder / "scaling").mkdir(parents=True)
    (folder / "sweeps").mkdir()
    for name in ("scaling/__init__", "sweeps/__init__", "torch", "wandb", "numpy", "pickle", "multiprocessing"):
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'a').write({name!r})\n")
    return folder


def run_in(folder: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": ""}
    return subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        # Four to six seconds each; all are started alike (the last test here), and torchrun, which starts others
        # itself, is below with a program that takes less.
        pytest.param("scaling.asr", ["--help"], marks=pytest.mark.slow),
        pytest.param("scaling.asr.execution.torchrun", ["--help"], marks=pytest.mark.slow),
        pytest.param("scaling.asr.use.transcribe", ["--help"], marks=pytest.mark.slow),
        pytest.param("scaling.asr.fork_server", [], marks=pytest.mark.slow),
        (
            "scaling.asr.execution.torchrun",
            ["--standalone", "--local-addr=127.0.0.1", "-m", "sweeps.run.tracking", "--help"],
        ),
        ("sweeps.run.tracking", ["--help"]),
    ],
)
def test_our_processes_import_nothing_from_the_folder_they_are_started_in(
    module: str, arguments: list[str], strange_folder: Path
) -> None:
    if module.startswith("scaling.asr"):
        pytest.importorskip("torch")
    done = run_in(strange_folder, [*python_module(module), *arguments])
    assert done.returncode == 0, done.stderr
    assert not strange_folder.with_name("imported").exists()


def test_pools_of_processes_import_nothing_from_the_folder_either(strange_folder: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import multiprocessing, os\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from scaling.system.own_code import own_code_only\n"
        "if __name__ == '__main__':\n"
        "    with own_code_only(), ProcessPoolExecutor(1, multiprocessing.get_context('spawn')) as pool:\n"
        "        assert pool.submit(abs, -3).result() == 3\n"
        "    assert os.environ['PYTHONSAFEPATH'] == ''\n"
    )
    done = run_in(strange_folder, [sys.executable, str(program)])
    assert done.returncode == 0, done.stderr
    assert not strange_folder.with_name("imported").exists()


def test_no_module_is_started_in_another_way() -> None:
    sources = [path for part in ("scaling", "sweeps", "analysis") for path in (ROOT / part).rglob("*.py")]
    assert len(sources) > 100
    starts = [path.name for path in sources if '"-m"' in path.read_text() or "sys.executable" in path.read_text()]
    assert starts == ["own_code.py"]
