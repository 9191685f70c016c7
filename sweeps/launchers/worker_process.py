"""How a worker's process is started on this machine: forked from a fork server that has imported everything the trainer
needs, or else by its command.
"""

import json
import os
import select
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from scaling.system.console import log
from scaling.system.contained_files import appending
from scaling.system.own_code import python_module
from scaling.system.parent_death import adopt_orphans, end_with_parent
from sweeps.launchers.worker_command import TRAINER
from sweeps.launchers.worker_exit import exit_text

FORK_SERVER = python_module("scaling.asr.fork_server")
"""The beginning of the fork server's command; a worker's arguments follow."""

ANSWER_SECONDS = 30.0
"""A fork takes 5 ms of processor time; a fork server that does not answer for so long hangs (assumption)."""


class Process(Protocol):
    """A worker's process as launchers use it: a part of subprocess.Popen."""

    pid: int

    def poll(self) -> int | None:
        """The exit code, or -number of the signal that killed the process; None while it lives."""

    def wait(self) -> int:
        """Wait for the end of the process; its exit code."""


@dataclass(slots=True)
class ForkedProcess:
    """A worker that the fork server forked and that this process adopted."""

    pid: int
    returncode: int | None = None

    def poll(self) -> int | None:
        """See `Process`."""
        if self.returncode is None:
            self._wait(os.WNOHANG)
        return self.returncode

    def wait(self) -> int:
        """See `Process`."""
        while self.returncode is None:
            self._wait(0)
        return self.returncode

    def _wait(self, options: int) -> None:
        pid, status = os.waitpid(self.pid, options)
        if pid:
            self.returncode = os.waitstatus_to_exitcode(status)


class ProcessStarter:
    """Starts workers by one command, each in a process group of its own, so that Ctrl-C reaches the launcher alone.

    With `forks` a fork server is started at once, with `environment`; what it prints is added to `log_file`.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], log_file: Path, *, forks: bool = False
    ) -> None:
        self._command, self._environment, self._log_file = command, environment, log_file
        self._server = self._start_server() if forks else None
        self._server_was_ready = False

    def ready(self) -> bool:
        """Whether a worker can be started now; with a fork server, only once it has imported everything.

        A fork server that dies is replaced by another one, except where it died during its imports.
        """
        if self._server is None:
            return True
        self._server_was_ready = self._server_was_ready or bool(self._read_answer(0.0))
        if (code := self._server.poll()) is not None:
            then = "starting another" if self._server_was_ready else "each worker imports everything itself"
            log(f"the process that workers are forked from died ({exit_text(code)}, see {self._log_file}); {then}")
            self.end()
            self._server = self._start_server() if self._server_was_ready else None
            self._server_was_ready = False
        return self._server_was_ready or self._server is None

    def start(self, environment: Mapping[str, str], log_file: Path) -> Process:
        """Start a worker with these environment variables and no others; its output is added to `log_file`.

        The starter must be `ready`. A fork server that does not answer is killed, and the worker is started by its
        command. Raises InputError where the log file is a link or a FIFO.
        """
        if self._server is not None:
            with appending(log_file):  # a log that the fork server could not open is refused at once
                pid = self._request_fork(environment, log_file)
            if pid:
                return ForkedProcess(int(pid))
            _kill(self._server)
        return _execute(self._command, environment, log_file, stdin=subprocess.DEVNULL)

    def end(self) -> None:
        """End the fork server; the workers live on."""
        if self._server is not None:
            _kill(self._server)
            self._server.communicate()

    def _start_server(self) -> subprocess.Popen[bytes]:
        command = [*FORK_SERVER, *self._command[len(TRAINER) :]]
        return _execute(command, self._environment, self._log_file, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def _request_fork(self, environment: Mapping[str, str], log_file: Path) -> bytes:
        """The pid of a newly forked worker; empty where the fork server has died or hangs."""
        assert self._server is not None
        assert self._server.stdin is not None
        request = {"environment": dict(environment), "log_file": str(log_file.absolute())}
        with suppress(BrokenPipeError):
            self._server.stdin.write(json.dumps(request).encode() + b"\n")
            self._server.stdin.flush()
        return self._read_answer(ANSWER_SECONDS)

    def _read_answer(self, seconds: float) -> bytes:
        """What the fork server writes within so many seconds; empty where it writes nothing or has died."""
        assert self._server is not None
        assert self._server.stdout is not None
        readable, _, _ = select.select([self._server.stdout], [], [], seconds)
        return os.read(self._server.stdout.fileno(), select.PIPE_BUF) if readable else b""


@contextmanager
def process_starter(command: Sequence[str], environment: Mapping[str, str], log_file: Path) -> Iterator[ProcessStarter]:
    """A starter of workers, which forks where the command is this project's trainer and processes may adopt others."""
    with adopt_orphans() as adopts:
        forks = adopts and tuple(command[: len(TRAINER)]) == TRAINER
        starter = ProcessStarter(command, environment, log_file, forks=forks)
        try:
            yield starter
        finally:
            starter.end()


def _execute(
    command: Sequence[str], environment: Mapping[str, str], log_file: Path, *, stdin: int, stdout: int | None = None
) -> subprocess.Popen[bytes]:
    with appending(log_file) as output:
        return subprocess.Popen(
            command,
            env=environment,
            stdin=stdin,
            stdout=output if stdout is None else stdout,
            stderr=output,
            process_group=0,
            preexec_fn=end_with_parent,
        )


def _kill(server: subprocess.Popen[bytes]) -> None:
    """Kill a fork server and any child that it is about to fork, and wait until it is gone."""
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
