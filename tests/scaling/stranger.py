"""Somebody who has an export and the libraries that its card names, and not this project."""

import re
import subprocess
import sysconfig
import venv
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


def written_by_the_card(python: Path, folder: Path, samples_T: np.ndarray) -> str:
    """What the card's program, run where the export is, prints about this speech."""
    (snippet,) = re.findall("```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert len(snippet.splitlines()) <= 20
    soundfile.write(folder / "audio.wav", samples_T, 16_000, subtype="FLOAT")
    done = subprocess.run([python, "-I", "-c", snippet], cwd=folder, capture_output=True, text=True, check=False)
    (folder / "audio.wav").unlink()
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
