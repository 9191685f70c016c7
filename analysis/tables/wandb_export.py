"""Runs from offline Weights & Biases folders: config and summary of each as one row.

They are read by the tracker's own command (`wandb leet inspect`), since its file format is private; nothing is
imported.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scaling.errors import InputError

# One folder takes under a second; a folder that hangs must not hang the fit.
PATIENCE_SECONDS = 60.0


def is_export(folder: Path) -> bool:
    """Whether a folder holds offline runs, as its own or inside `wandb/`."""
    return next(_logs(folder), None) is not None


def rows_of(folder: Path) -> Iterator[dict[str, Any]]:
    """One row a run: nested names joined by `/`, `key` the run's id, `name` as shown. Raises InputError where the
    command is missing or fails.
    """
    beside = Path(sys.executable).parent / "wandb"
    command = str(beside) if beside.exists() else shutil.which("wandb")
    if command is None:
        raise InputError(f"{folder}: reading offline runs needs wandb: pip install 'asr-scaling[track]'")
    for log in sorted(_logs(folder)):
        done = subprocess.run(
            [command, "leet", "inspect", "--summary", "--json", str(log)],
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        if done.returncode:
            raise InputError(f"{log}: wandb cannot read it ({done.stderr.strip()[-200:]})")
        run = json.loads(done.stdout)
        values = {**dict(flat(run["config"])), **dict(flat(run["summary"]))}
        yield {**values, "key": run["run_id"], "name": run["name"], "state": run["state"]}


def _logs(folder: Path) -> Iterator[Path]:
    for pattern in ("*.wandb", "*run-*/*.wandb", "wandb/*run-*/*.wandb"):
        yield from (log for log in folder.glob(pattern) if log.parent.name != "latest-run")


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested values with their names joined by `/`."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", value
