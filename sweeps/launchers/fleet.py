"""Workers on other machines: as many as there is work for, replaced when they die, sent home when nothing is left.

An engine (Slurm, Ray) starts them and says which are gone. What a death means is decided here, alike for every engine.
Nothing is kept but counts: the ledger says what is done, the engine who is there.
"""

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

from scaling.console import log
from scaling.errors import InputError
from scaling.ledger.ledger import Attempt
from scaling.ledger.plan_file import PlanFile
from sweeps.launchers.death_count import Blame, held_by
from sweeps.launchers.local import BAD_INPUT, DEATHS_IN_A_ROW, LEFT, STOP_SECONDS, last_line, signals
from sweeps.progress.status import State, Survey, ready, survey

POLL_SECONDS = 0.5
"""How often a signal is looked for; the engine is asked every `look_seconds` of its own."""

BACK_OFF_SECONDS = (5.0, 15.0, 60.0, 300.0)
"""Pause before workers are replaced, by deaths in a row without any training between (assumption)."""

REFUSED_SECONDS = 60.0
"""Pause after an engine refused to start workers: a limit on jobs or a restart passes in minutes (assumption)."""

DEFAULT_WORKERS = 4
"""Without --workers (assumption): a small share of any cluster; never more than there is work for."""


class Fate(Enum):
    """How a worker ended."""

    FINISHED = auto()
    """Nothing was left that it could do."""
    LEFT = auto()
    """It was asked to leave, by a time limit say, and did so after a checkpoint."""
    MISTAKE = auto()
    """It found a user's mistake; another one would, too."""
    DIED = auto()
    """Of what it was doing, as far as anybody can tell."""
    OUT_OF_MEMORY = auto()
    """The engine says that it asked for too much."""
    LOST = auto()
    """Its machine failed or was taken away."""
    CANCELLED = auto()
    """Somebody ended it on purpose."""


FATES = {0: Fate.FINISHED, BAD_INPUT: Fate.MISTAKE, **dict.fromkeys(LEFT, Fate.LEFT)}
"""By a worker's exit code; any other means that it died."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A worker that is gone: its name, as in its leases, and `reason` in words."""

    worker: str
    fate: Fate
    reason: str


def ending(worker: str, code: int, log_file: Path) -> Ending:
    """How a worker ended that has an exit code, as shells have it, and a log."""
    fate = FATES.get(code, Fate.DIED)
    if fate is Fate.LEFT:
        return Ending(worker=worker, fate=fate, reason="asked to leave")
    if code - 128 in set(signal.Signals):
        return Ending(worker=worker, fate=fate, reason=f"killed by {signal.Signals(code - 128).name}")
    said = last_line(log_file)
    return Ending(worker=worker, fate=fate, reason=said if fate is Fate.MISTAKE else f"exit code {code}: {said}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Who is there: `present` workers, at work or queued; those gone since the last look; the queue in words."""

    present: int
    endings: Sequence[Ending]
    queue: str


class Refused(Exception):
    """The engine did not start the workers; it says why."""


class Engine(Protocol):
    """Starts workers that record their names in their leases, and says what becomes of them."""

    name: str
    look_seconds: float

    def look(self) -> Look | None:
        """Who is there, or None while the engine does not answer: then nothing is known and nothing is decided."""

    def start(self, count: int) -> None:
        """Queue `count` more workers. Raises Refused."""

    def withdraw(self, count: int) -> None:
        """Take back up to `count` workers that have not begun."""

    def ask_to_leave(self) -> None:
        """Take back what has not begun; have the others save a checkpoint and leave."""

    def cancel(self) -> None:
        """End every worker now."""


@dataclass(slots=True)
class Fleet:
    """The workers of one invocation, up to `workers`. `row` counts deaths since anything was last trained."""

    engine: Engine
    plan_file: PlanFile
    workers: int
    blame: Blame = field(init=False)
    row: int = 0
    trained_flops: int = 0
    next_look: float = 0.0
    not_before: float = 0.0
    started: bool = False
    queue: str = ""

    def __post_init__(self) -> None:
        self.blame = Blame(self.plan_file)

    @property
    def given_up(self) -> bool:
        """Whether no worker is to be started any more."""
        return self.row >= DEATHS_IN_A_ROW or self.workers == 0

    def tend(self, found: Survey) -> None:
        """Look, when it is time to; bury the dead, start what is missing, take back what is too much."""
        if time.monotonic() < self.next_look:
            return
        look = self.engine.look()
        self.next_look = time.monotonic() + self.engine.look_seconds
        if look is None:
            self._tell(f"{self.engine.name} does not answer; workers go on without it")
            return
        self._tell(f"{self.engine.name}: {look.queue}")
        self._bury(look.endings, found)
        if look.present < min(self.workers, places(self.plan_file, found)):
            self._fill(look.present)
        elif (surplus := look.present - min(self.workers, len(unfinished(found)))) > 0:
            self.engine.withdraw(surplus)

    def _fill(self, present: int) -> None:
        """Start what is missing, after a look at the ledger that is newer than the engine's answer."""
        if self.given_up or time.monotonic() < self.not_before:
            return
        missing = min(self.workers, places(self.plan_file, survey(self.plan_file))) - present
        if missing > 0:
            self._start(missing)

    def _tell(self, queue: str) -> None:
        """Say how the queue is, where that is new."""
        if queue != self.queue:
            log(queue)
            self.queue = queue

    def _bury(self, endings: Sequence[Ending], found: Survey) -> None:
        for ending in endings:
            self._take_note(ending)
        if any(ending.fate in (Fate.DIED, Fate.OUT_OF_MEMORY) for ending in endings):
            self._back_off(found)

    def _take_note(self, ending: Ending) -> None:
        if ending.fate is Fate.MISTAKE:
            raise InputError(f"worker {ending.worker}: {ending.reason}")
        if ending.fate is Fate.CANCELLED:
            self.workers = max(self.workers - 1, 0)
        if ending.fate is not Fate.FINISHED:
            replaced = "not replaced" if ending.fate is Fate.CANCELLED else "replaced while there is work"
            log(f"worker {ending.worker} is gone ({ending.reason}); {replaced}")
        attempt = held_by(self.plan_file, worker=ending.worker)
        if attempt is not None:
            self._free(attempt, ending)

    def _free(self, attempt: Attempt, ending: Ending) -> None:
        """Let others have the node at once, instead of when its heartbeat is old; or say that it has failed."""
        if ending.fate is Fate.DIED:
            self.blame.died(attempt, ending.reason)
        if ending.fate is Fate.OUT_OF_MEMORY:
            attempt.fail("memory", ending.reason, session=self.plan_file.session)
        if attempt.failure() is None:
            attempt.release()

    def _back_off(self, found: Survey) -> None:
        if found.done_flops > self.trained_flops:
            self.row, self.trained_flops = 0, found.done_flops
        self.not_before = time.monotonic() + BACK_OFF_SECONDS[min(self.row, len(BACK_OFF_SECONDS) - 1)]
        self.row += 1
        if self.given_up:
            logs = self.plan_file.folder / "logs"
            log(f"workers died {self.row} times in a row without training anything; given up (see {logs})")

    def _start(self, count: int) -> None:
        try:
            self.engine.start(count)
            self.started = True
        except Refused as refusal:
            if not self.started:
                raise InputError(str(refusal)) from None
            log(f"{refusal}; trying again in {REFUSED_SECONDS:g} s")
            self.not_before = time.monotonic() + REFUSED_SECONDS


def run_fleet(engine: Engine, plan_file: PlanFile, *, workers: int, watch: Callable[[], Survey]) -> int | None:
    """Work through the plan with up to `workers` workers of `engine`; the signal that stopped it, or None.

    `watch` looks at the ledger, when it is time to. A second signal ends the workers without their checkpoints.
    Raises InputError where a worker finds a user's mistake, or where the engine refuses the first workers.
    """
    fleet = Fleet(engine, plan_file, workers)
    with signals() as received:
        try:
            while not received:
                found = watch()
                if found.finished or fleet.given_up:
                    return None
                fleet.tend(found)
                time.sleep(POLL_SECONDS)
            log("asking the workers to save a checkpoint and leave; a second signal ends them at once")
            return received[0]
        finally:
            _send_home(engine, received)


def leave_running(engine: Engine, plan_file: PlanFile, *, workers: int, found: Survey) -> None:
    """Start what is missing and leave it to itself. Raises InputError where the engine does not do that now."""
    if engine.look() is None:
        raise InputError(f"{engine.name} does not answer; no workers were started")
    Fleet(engine, plan_file, workers).tend(found)


def places(plan_file: PlanFile, found: Survey) -> int:
    """How many workers could be busy now: nodes that are being trained, and nodes that only wait for a worker."""
    return len(found.in_state(State.RUNNING)) + len(ready(plan_file, found))


def unfinished(found: Survey) -> list[str]:
    """Nodes that are or will be worked on."""
    return found.in_state(State.RUNNING) + found.in_state(State.WAITING)


def _send_home(engine: Engine, received: Sequence[int]) -> None:
    engine.ask_to_leave()
    deadline = time.monotonic() + STOP_SECONDS
    while len(received) < 2 and time.monotonic() < deadline:
        look = engine.look()
        if look is not None and look.present == 0:
            return
        time.sleep(POLL_SECONDS)
    engine.cancel()
