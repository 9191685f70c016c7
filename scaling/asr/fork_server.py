"""Workers forked from one process that has imported all modules they need, so that each starts in a hundredth of a
second.

    python -m scaling.asr.fork_server --ledger ROOT --plan DIR/plan.json

The arguments are a worker's, as `python -m scaling.asr` takes them, and hold for every worker forked here. The server
writes a line to stdout when it is ready. For each request, a line of JSON on stdin with the worker's `environment` and
its `log_file`, it forks a worker, which answers with its pid. The server ends when its stdin ends.

A worker becomes a child of the launcher, which adopts orphans (`scaling.system.parent_death`), because the process
between worker and server ends at once. So the launcher gets the worker's exit code from the kernel, and the worker
outlives the server. The worker has the server's command line, by which it can be found.

Python's own fork server (multiprocessing) would not do: a worker stays the server's child, and is reported as dead if
its server dies; the launcher's main module runs again in each worker; the launcher cannot answer a signal while the
server imports; and an ImportError in the server is silent.

A forked process has none of its parent's threads, and cannot use a GPU that its parent has begun to use. Where an
import has started a thread or opened a GPU, the server ends, and the launcher starts workers by their own command.
"""

import gc
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from scaling.system import fault_injection as faults
from scaling.system.console import log
from scaling.system.contained_files import appending
from scaling.system.parent_death import end_with_parent

READY = "ready"
"""The line that the server writes when it has imported everything."""

GPU_FILES = ("/dev/nvidia", "/dev/kfd")
"""Prefixes of the files by which CUDA and ROCm reach their drivers."""

POLL_SECONDS = 0.001
"""A new worker waits until the launcher is its parent (4 ms, measured); this is the pause between its checks."""


def main() -> int:
    """Fork a worker for each request; in a worker, returns its exit code."""
    launcher = os.getppid()
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # output of libraries during their import is no answer
    work = _imported_worker()
    if obstacle := _obstacle():
        log(f"a library has {obstacle} when imported, which a forked worker would not have")
        os._exit(1)  # at once: the interpreter would wait for that thread
    gc.freeze()  # else the first full collection of each worker copies 110 MB of shared memory (measured)
    _answer(answers, READY)
    for request in sys.stdin:
        if _forked(launcher):
            _set_up(**json.loads(request))
            _answer(answers, str(os.getpid()))
            os.close(answers)
            return work()
    return 0


def _imported_worker() -> Callable[[], int]:
    """The main function of a worker, with all modules that it needs."""
    from scaling.asr.__main__ import main as work

    return work


def _obstacle() -> str:
    """The reason why this process must not be forked; empty if it may be forked."""
    if threading.active_count() > 1:
        return "started a thread"
    opened = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]  # noqa: PTH208
    return "opened a GPU" if any(name.startswith(GPU_FILES) for name in opened) else ""


def _forked(launcher: int) -> bool:
    """Fork a worker: False here, True in the worker once it is the launcher's child."""
    if between := os.fork():
        if os.waitpid(between, 0)[1]:
            raise SystemExit("no worker could be forked")
        return False
    between = os.getpid()
    if os.fork():
        os._exit(0)
    while os.getppid() == between:
        time.sleep(POLL_SECONDS)
    end_with_parent()
    if os.getppid() != launcher:  # the launcher has died meanwhile
        os._exit(1)
    return True


def _set_up(environment: dict[str, str], log_file: str) -> None:
    """Make this process equal to one that the launcher has started: its own process group, variables and log file."""
    os.setpgid(0, 0)
    os.environ.clear()
    os.environ.update(environment)
    faults.set_fault(os.environ.get(faults.VARIABLE, ""))
    nowhere = os.open(os.devnull, os.O_RDONLY)
    with appending(Path(log_file)) as output:
        for copy, original in enumerate((nowhere, output.fileno(), output.fileno())):
            os.dup2(original, copy)
    os.close(nowhere)


def _answer(answers: int, line: str) -> None:
    os.write(answers, f"{line}\n".encode())


if __name__ == "__main__":
    sys.exit(main())
