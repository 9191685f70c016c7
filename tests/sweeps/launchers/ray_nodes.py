"""A real Ray cluster of two nodes, in a network namespace of its own; each node has a host name of its own.

Needs root. The nodes are what users start: `ray start`, in a script's background, where shells have SIGINT ignored.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from processes import wait_until

NODES = ("n1", "n2")
ADDRESS = "127.0.0.1:6399"
VARIABLES = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
"""Ray's own workers are 15 times nicer than other processes, and beside other tests they would wait for minutes."""
COMMON = ["--num-cpus=2", "--num-gpus=1", "--object-store-memory=100000000", "--node-ip-address=127.0.0.1", "--block"]


class RayNodes:
    """Started on entry, and every process of it gone on exit."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # Ray's sockets lie there: names must be short
        self._network: subprocess.Popen[bytes] | None = None
        self._nodes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "RayNodes":
        ready = self.root / "ready"
        script = f"ip link set lo up && touch {ready} && exec sleep infinity"
        self._network = subprocess.Popen(["unshare", "--net", "sh", "-c", script])
        try:
            wait_until(ready.exists, 10)
            for node in NODES:
                self.start_node(node)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for node in reversed(NODES):
            self.kill_node(node)
        if self._network is not None:
            self._network.kill()
            self._network.wait()
        shutil.rmtree(self.root, ignore_errors=True)

    def inside(self, command: Sequence[str]) -> list[str]:
        """A command that runs in the cluster's network."""
        assert self._network is not None
        return ["nsenter", f"--net=/proc/{self._network.pid}/ns/net", *command]

    def start_node(self, node: str) -> None:
        head = ["--head", "--port=6399", "--include-dashboard=false", f"--temp-dir={self.root}"]
        role = head if node == NODES[0] else [f"--address={ADDRESS}"]
        start = [sys.executable, "-m", "ray.scripts.scripts", "start", *role, *COMMON]
        log = self.root / f"{node}.log"
        with log.open("wb") as output:
            self._nodes[node] = subprocess.Popen(
                self.inside(["unshare", "--uts", "sh", "-c", 'trap "" INT; hostname "$0" && exec "$@"', node, *start]),
                env={**os.environ, **VARIABLES},
                stdout=output,
                stderr=output,
            )
        wait_until(lambda: "Ray runtime started" in log.read_text(), 60)

    def kill_node(self, node: str) -> None:
        """As a power cut would: everything on it."""
        if node in self._nodes:
            for pid in self.processes_of(node):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._nodes.pop(node).wait()

    def processes_of(self, node: str) -> list[int]:
        """Processes that run on a node: those that know it as their host."""
        host = _host(self._nodes[node].pid)
        pids = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
        return [pid for pid in pids if host is not None and _host(pid) == host]


def _host(pid: int) -> str | None:
    with suppress(OSError):
        return str(Path(f"/proc/{pid}/ns/uts").readlink())
    return None
