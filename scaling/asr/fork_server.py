"""Workers forked from one process that has imported all they need, so that they start in a hundredth of a second.

    python -m scaling.asr.fork_server --ledger ROOT --plan DIR/plan.json

The arguments are a worker's, as `python -m scaling.asr` takes them, and hold for every worker forked here. The server
writes a line to stdout when it is ready. For each request, a line of JSON on stdin with the worker's `environment` and
its `log_file`, it forks a worker and that worker answers with its pid. The server ends with its stdin.

A worker becomes a child of the launcher, which adopts orphans (`scaling.system.parent_death`): the process between it and the
server ends at once. So its exit code reaches the launcher from the kernel, and it outlives the server. It has the
server's command line, by which it can be found. Python's own fork server (multiprocessing) does neither: there a worker
stays the server's child, and one whose server dies is reported as dead; the launcher's main module runs again in each
worker; the launcher cannot answer a signal while the server imports; and an ImportError there is silent.

A fork has none of its parent's threads, and cannot use a GPU that its parent has begun to use. Where an import has done
either, the server ends instead, and the launcher starts workers by their command.
"""

import gc
import json
import os
import sys
import threading
import time
from collections.abc import Callable

from scaling.console import log
from scaling.system import fault_injection as faults
from scaling.system.parent_death import end_with_parent

READY = "ready"
"""What the server says when it has imported everything."""

GPU_FILES = ("/dev/nvidia", "/dev/kfd")
"""How the names of the files begin by which CUDA and ROCm reach their drivers."""

LOOK_SECONDS = 0.001
"""Between a new worker's looks at whether it has another parent, which takes milliseconds (4 measured)."""


def main() -> int:
    """Fork a worker for each request; in a worker, its exit code."""
    launcher = os.getppid()
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print while they are imported is no answer
    work = _imported()
    if obstacle := _obstacle():
        log(f"a library has {obstacle} when imported, which no fork would have")
        os._exit(1)  # now: the interpreter would wait for that thread
    gc.freeze()  # else the first full collection of each worker copies 110 MB of what it shares (measured)
    _say(answers, READY)
    for request in sys.stdin:
        if _forked(launcher):
            _set_up(**json.loads(request))
            _say(answers, str(os.getpid()))
            os.close(answers)
            return work()
    return 0


def _imported() -> Callable[[], int]:
    """A worker's whole work, with all that it needs."""
    from scaling.asr.__main__ import main as work

    return work


def _obstacle() -> str:
    """What was done in this process that forbids to fork it; nothing where it may be."""
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
        time.sleep(LOOK_SECONDS)
    end_with_parent()
    if os.getppid() != launcher:  # it has died meanwhile
        os._exit(1)
    return True


def _set_up(environment: dict[str, str], log_file: str) -> None:
    """Make this process what the launcher would have started: a group of its own, its variables, its log file."""
    os.setpgid(0, 0)
    os.environ.clear()
    os.environ.update(environment)
    faults.set_fault(os.environ.get(faults.VARIABLE, ""))
    nowhere, output = os.open(os.devnull, os.O_RDONLY), os.open(log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    for copy, original in enumerate((nowhere, output, output)):
        os.dup2(original, copy)
    os.close(nowhere)
    os.close(output)


def _say(answers: int, line: str) -> None:
    os.write(answers, f"{line}\n".encode())


if __name__ == "__main__":
    sys.exit(main())
