"""Launchers and workers that are forked from a process that has imported everything, for `torture`."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import scaling.asr.__main__ as trainer
from scaling.system import fault_injection as faults
from scaling.system.parent_death import end_with_parent


class Forked:
    """What `subprocess.Popen` is to the launcher, for a child that was forked."""

    def __init__(self, work: Callable[[], int], log: Path) -> None:
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            end_with_parent()
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            with log.open("ab") as output:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
            code = 1
            try:
                code = work()
            except BaseException as error:  # a forked process must not run on in its parent's code
                os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(code)

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float = 60.0) -> int:
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {self.pid} still lives")
            time.sleep(0.005)
        assert self.returncode is not None
        return self.returncode


@dataclass
class ProcessStarter:
    """What `worker_process.ProcessStarter` is to the launcher, for workers that die of their faults."""

    arguments: list[str]
    logs: Path
    faults: Iterator[str]
    started: int = 0

    def ready(self) -> bool:
        return True

    def start(self, *_: Any) -> Forked:
        self.logs.mkdir(parents=True, exist_ok=True)
        self.started += 1
        fault = next(self.faults)

        def work() -> int:
            faults.set_fault(fault)
            sys.argv = ["python -m scaling.asr", *self.arguments]
            return trainer.main()

        return Forked(work, self.logs / f"forked-{os.getpid()}-{self.started}.log")
