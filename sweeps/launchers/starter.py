"""How a worker of this machine is started: forked from a process that has imported everything, else by its command."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from scaling.console import log
from scaling.system.parent_death import adopt_orphans, end_with_parent

TRAINER = (sys.executable, "-m", "scaling.asr")
"""How the command of a worker begins that can be forked instead."""

FORK_SERVER = (sys.executable, "-m", "scaling.asr.fork_server")
"""What forks it, given the same arguments."""

ANSWER_SECONDS = 30.0
"""A fork takes 5 ms of processor; a server that does not answer for so long is stopped or hangs (assumption)."""


class Process(Protocol):
    """What a launcher asks of a worker's process: a part of subprocess.Popen."""

    pid: int

    def poll(self) -> int | None:
        """The exit code, minus the signal's number where one killed it; None while it lives."""

    def wait(self) -> int:
        """The exit code, once there is one."""


@dataclass(slots=True)
class Child:
    """A child of this process that subprocess did not start."""

    pid: int
    returncode: int | None = None

    def poll(self) -> int | None:
        """See `Process`."""
        if self.returncode is None:
            self._ask(os.WNOHANG)
        return self.returncode

    def wait(self) -> int:
        """See `Process`."""
        while self.returncode is None:
            self._ask(0)
        return self.returncode

    def _ask(self, options: int) -> None:
        pid, status = os.waitpid(self.pid, options)
        if pid:
            self.returncode = os.waitstatus_to_exitcode(status)


class Starter:
    """Starts workers by one command, each in a process group of its own: Ctrl-C reaches the launcher alone.

    With `forks` a fork server is started at once, with `environment`, and with `log_file` for what its imports say.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], log_file: Path, *, forks: bool = False
    ) -> None:
        self._command, self._environment, self._log_file = command, environment, log_file
        self._server = self._serve() if forks else None
        self._serves = False

    def ready(self) -> bool:
        """Whether a worker can be started now, not only when the fork server has imported everything.

        A server that has died is replaced by another; after one that died of its imports there is none any more.
        """
        if self._server is None:
            return True
        self._serves = self._serves or bool(self._answer(0.0))
        if (code := self._server.poll()) is not None:
            then = "starting another" if self._serves else "each worker imports everything itself"
            log(f"the process that workers are forked from died ({reason(code)}, see {self._log_file}); {then}")
            self.end()
            self._server = self._serve() if self._serves else None
            self._serves = False
        return self._serves or self._server is None

    def start(self, environment: Mapping[str, str], log_file: Path) -> Process:
        """Start a worker with these variables and no others, whose words are added to `log_file`. It must be `ready`.

        A fork server that does not answer is killed, and the worker started by its command.
        """
        if self._server is not None:
            if answer := self._ask(environment, log_file):
                return Child(int(answer))
            _kill(self._server)
        return _started(self._command, environment, log_file, stdin=subprocess.DEVNULL)

    def end(self) -> None:
        """End the fork server; the workers live."""
        if self._server is not None:
            _kill(self._server)
            self._server.communicate()

    def _serve(self) -> subprocess.Popen[bytes]:
        command = [*FORK_SERVER, *self._command[len(TRAINER) :]]
        return _started(command, self._environment, self._log_file, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def _ask(self, environment: Mapping[str, str], log_file: Path) -> bytes:
        """The fork server's answer to a request, a worker's pid; nothing where it has died or hangs."""
        assert self._server is not None
        assert self._server.stdin is not None
        request = {"environment": dict(environment), "log_file": str(log_file.absolute())}
        with suppress(BrokenPipeError):
            self._server.stdin.write(json.dumps(request).encode() + b"\n")
            self._server.stdin.flush()
        return self._answer(ANSWER_SECONDS)

    def _answer(self, seconds: float) -> bytes:
        """What the fork server says within so many seconds; nothing where it has died."""
        assert self._server is not None
        assert self._server.stdout is not None
        said, _, _ = select.select([self._server.stdout], [], [], seconds)
        return os.read(self._server.stdout.fileno(), select.PIPE_BUF) if said else b""


@contextmanager
def starting(command: Sequence[str], environment: Mapping[str, str], log_file: Path) -> Iterator[Starter]:
    """Start workers by `command`, forked where it is our trainer's and this system lets a process adopt others."""
    with adopt_orphans() as adopts:
        forks = adopts and tuple(command[: len(TRAINER)]) == TRAINER
        found = Starter(command, environment, log_file, forks=forks)
        try:
            yield found
        finally:
            found.end()


def reason(code: int) -> str:
    """A process's end in words, whether its parent saw the signal or a program between tells it as shells do.

    >>> reason(-9), reason(137), reason(1)
    ('killed by SIGKILL', 'killed by SIGKILL', 'exit code 1')
    """
    number = -code if code < 0 else code - 128
    return f"killed by {signal.Signals(number).name}" if number in set(signal.Signals) else f"exit code {code}"


def _started(
    command: Sequence[str], environment: Mapping[str, str], log_file: Path, *, stdin: int, stdout: int | None = None
) -> subprocess.Popen[bytes]:
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("ab") as output:
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
    """Kill a fork server with what it was about to fork, and wait until it is gone."""
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
