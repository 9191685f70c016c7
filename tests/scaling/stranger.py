"""Somebody who has an export and the libraries that its card names, and not this project."""

import ast
import contextlib
import io
import re
import subprocess
import sysconfig
import venv
import warnings
from pathlib import Path

import numpy as np
import soundfile


def environment_without_this_project(folder: Path) -> Path:
    """The interpreter of a new virtual environment with the libraries of this one."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    libraries = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        ours = entry.name in ("scaling", "sweeps", "analysis") or "asr_scaling" in entry.name
        if not ours and entry.suffix != ".pth":
            (libraries / entry.name).symlink_to(entry)
    found = subprocess.run([python, "-I", "-c", "import torch, scaling"], capture_output=True, text=True, check=False)
    assert "No module named 'scaling'" in found.stderr
    return python


def _program_of_the_card(folder: Path, samples_T: np.ndarray) -> str:
    """The card's program, with this speech laid where it looks for some."""
    (snippet,) = re.findall("```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert len(snippet.splitlines()) <= 20
    soundfile.write(folder / "audio.wav", samples_T, 16_000, subtype="FLOAT")
    return str(snippet)


def written_by_the_card_in_this_process(folder: Path, samples_T: np.ndarray) -> str:
    """What the card's program, run where the export is, prints about this speech; it imports nothing of this project.

    Half a second where an interpreter of its own takes five.
    """
    snippet, said = _program_of_the_card(folder, samples_T), io.StringIO()
    imported = {
        name
        for node in ast.walk(ast.parse(snippet))
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
                     if isinstance(node, ast.Import) else [])
    }  # fmt: skip
    assert imported
    assert not {str(name).partition(".")[0] for name in imported} & {"scaling", "sweeps", "analysis"}
    with contextlib.chdir(folder), contextlib.redirect_stdout(said), warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # so short a program leaves its files to be closed at its end
        exec(compile(snippet, "README.md", "exec"), {"__name__": "__main__"})
    (folder / "audio.wav").unlink()
    return said.getvalue().strip()


def written_by_the_card(python: Path, folder: Path, samples_T: np.ndarray) -> str:
    """What the card's program, run where the export is by that interpreter, prints about this speech."""
    snippet = _program_of_the_card(folder, samples_T)
    done = subprocess.run([python, "-I", "-c", snippet], cwd=folder, capture_output=True, text=True, check=False)
    (folder / "audio.wav").unlink()
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
