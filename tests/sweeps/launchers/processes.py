"""Processes and files of a running study, as tests look at them."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from scaling.system.json_files import read_json

CLUSTER_RUN = Path(__file__).with_name("cluster_run.py")
"""The program of a launcher: a study file, a folder, a number of workers, a launcher's name."""


def table(folder: Path) -> list[dict[str, Any]]:
    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(item) for key, item in value.items() if key not in ("seconds", "finished")}
        return [strip(item) for item in value] if isinstance(value, list) else value

    return [strip(json.loads(line)) for line in (folder / "runs.jsonl").read_text().splitlines()]


def leases(folder: Path) -> list[dict[str, Any]]:
    return [read_json(path) for path in folder.glob("stages/*/attempts/[0-9]*/lease.json")]


def finished(folder: Path) -> int:
    """The nodes that have a result."""
    return len(list(folder.glob("stages/*/result.json")))


def wait_until(true: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"still not so after {seconds} s"
        time.sleep(0.02)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def killed(pid: int) -> bool:
    """Kill a process by SIGKILL; whether it was there until then: between a look at it and this it may have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


def processes_of(folder: Path) -> list[int]:
    """Those that live and have the folder on their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(folder).encode() in (entry / "cmdline").read_bytes() and alive(int(entry.name)):
                found.append(int(entry.name))
    return found


class LauncherProcess:
    """A launcher of a study on a cluster; what it says is in a file."""

    def __init__(self, command: Sequence[str], said: Path, environment: Mapping[str, str]) -> None:
        self.said = said
        with said.open("wb") as output:
            self.process = subprocess.Popen(command, env={**os.environ, **environment}, stderr=output)

    def ended(self) -> tuple[int, str]:
        """Its exit code, and what it said."""
        return self.process.wait(150), self.said.read_text()


Launch = Callable[..., LauncherProcess]
"""Starts a launcher for a study file, a folder and a number of workers."""
