"""How a worker ended: what its exit code and its log say, alike on this machine, under Slurm and on Ray."""

import signal
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from scaling.errors import InputError
from scaling.system.contained_files import read_regular

BAD_INPUT = 2
"""A worker's exit code for a user's mistake: another worker would end in the same way."""

ASKED_TO_LEAVE = (128 + signal.SIGTERM, 128 + signal.SIGINT)
"""Exit codes of a worker that a user or a scheduler asked to leave, and that saved a checkpoint before it did."""

STOP_SECONDS = 60.0
"""How long a worker that is asked to leave has to save a checkpoint (assumption: 10 GB at 200 MB/s)."""


class ExitKind(Enum):
    """What a worker's end means for the rest of the study."""

    FINISHED = auto()
    """The worker found no more work that it could do."""
    LEFT = auto()
    """The worker was asked to leave, for example by a time limit, and left after a checkpoint."""
    MISTAKE = auto()
    """The worker found a user's mistake, which another worker would find, too."""
    DIED = auto()
    """The worker died, as far as anybody can tell because of the node that it trained."""
    OUT_OF_MEMORY = auto()
    """The scheduler says that the worker needed more memory than it was given."""
    LOST = auto()
    """The worker's machine failed or was taken away."""
    CANCELLED = auto()
    """Somebody cancelled the worker on purpose."""


EXIT_KINDS = {0: ExitKind.FINISHED, BAD_INPUT: ExitKind.MISTAKE, **dict.fromkeys(ASKED_TO_LEAVE, ExitKind.LEFT)}
"""What the exit codes mean; any other code means that the worker died."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerExit:
    """A worker that has ended: its name, as in its leases, and the `reason` as text."""

    worker: str
    kind: ExitKind
    reason: str
    itself: bool = False
    """Whether it ended by itself and in error."""


def worker_exit(worker: str, code: int, log_file: Path) -> WorkerExit:
    """How a worker with this exit code (as shells give it) and this log ended."""
    kind = EXIT_KINDS.get(code, ExitKind.DIED)
    if kind is ExitKind.LEFT:
        reason = "asked to leave"
    elif kind is ExitKind.MISTAKE:
        reason = last_line(log_file)
    else:
        reason = exit_text(code)
        if reason.startswith("exit code"):
            reason += f": {last_line(log_file)}"
    return WorkerExit(worker=worker, kind=kind, reason=reason, itself=kind is ExitKind.DIED and ended_itself(code))


def ended_itself(code: int) -> bool:
    """Whether a process with this exit code ended by itself and in error, not by a signal.

    >>> ended_itself(1), ended_itself(0), ended_itself(-9), ended_itself(137)
    (True, False, False, False)
    """
    return code > 0 and code - 128 not in set(signal.Signals)


def exit_text(code: int) -> str:
    """An exit code as text. A signal is -number where the parent saw it, 128 + number where a shell reports the end.

    >>> exit_text(-9), exit_text(137), exit_text(1)
    ('killed by SIGKILL', 'killed by SIGKILL', 'exit code 1')
    """
    number = -code if code < 0 else code - 128
    return f"killed by {signal.Signals(number).name}" if number in set(signal.Signals) else f"exit code {code}"


def last_line(log_file: Path) -> str:
    """The last line of a worker's log, without the `error: ` that it may begin with."""
    try:
        lines = read_regular(log_file).decode("utf-8", errors="replace").split("\n")
    except InputError as error:
        return str(error)
    return next((line.removeprefix("error: ") for line in reversed(lines) if line.strip()), "no message")
