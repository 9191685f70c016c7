"""What a shared disk does to a sweep while it runs: `gc` again and again under a clock that is wrong, workers that are
stopped for longer than a lease, and links to a stranger's folder in places where `gc` looks for what it may delete.
"""

import os
import random
import signal
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from scaling.errors import InputError
from scaling.ledger import lease, queue
from scaling.ledger.checkpoints import is_freed
from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import PlanFile
from sweeps.progress import retention
from sweeps.progress.retention import collect_garbage

SKEWS = (-7200.0, -60.0, 0.0, 60.0, 7200.0)
"""Seconds by which the clock of `gc` is wrong."""

STOPPED_SECONDS = (0.5, 3.0)
"""For how long a worker is stopped: from half a lease, as shortened here, to three."""

STOP_SHARE, LINK_SHARE = 0.3, 0.5
"""How often, after a kill, a worker is stopped, and a link is planted."""

THESIS = "the only copy\n"


def shorten_leases() -> None:
    """A lease of a second, and hearts that beat ten times in it: a torture cannot wait half a minute for each."""
    lease.LEASE_SECONDS, lease.STILL_SECONDS = 1.0, 0.5
    lease.HEARTBEAT_SECONDS = queue.HEARTBEAT_SECONDS = 0.1
    retention.STILL_SECONDS = 0.6


@dataclass
class Chaos:
    """The disturbances of one sweep in `out`. `stranger` is a folder that nothing of the sweep may touch."""

    out: Path
    rng: random.Random
    stopped: dict[int, float] = field(default_factory=dict)
    """Process numbers of stopped workers, and until when by the monotonic clock."""
    stops: int = 0
    links: int = 0

    @property
    def stranger(self) -> Path:
        return self.out.with_name(f"{self.out.name}-stranger")

    @property
    def collections(self) -> int:
        """How often `gc` has run."""
        log = self.out.with_name(f"{self.out.name}-gc.log")
        return log.read_text().count("\n") if log.exists() else 0

    def disturb(self, workers: list[int]) -> None:
        """Stop a worker or plant a link, or neither; wake the workers that were stopped for long enough."""
        if workers and self.rng.random() < STOP_SHARE:
            pid = self.rng.choice(workers)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                self.stopped[pid] = time.monotonic() + self.rng.uniform(*STOPPED_SECONDS)
                self.stops += 1
        if self.rng.random() < LINK_SHARE:
            self._plant()
        self.wake(time.monotonic())

    def wake(self, now: float) -> None:
        """Wake the workers that were to be stopped until `now`."""
        for pid in [pid for pid, until in self.stopped.items() if until <= now]:
            del self.stopped[pid]
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _plant(self) -> None:
        """A link to the stranger's folder, old enough for `gc`, where checkpoints, torn files and nodes lie."""
        attempts = sorted(self.out.glob("stages/*/attempts/[0-9]*"))
        if not attempts:
            return
        attempt = self.rng.choice(attempts)
        places = [
            attempt / f"checkpoint-{self.rng.randrange(10**9):09d}",
            attempt / f".weights.{self.rng.randrange(10**9)}",
            attempt.parent / f".0001.{self.rng.randrange(10**9)}",
            attempt.parent / f"{self.rng.randrange(10**4):04d}~",
            self.out / "stages" / f"a-stranger-s-{self.rng.randrange(10**9)}",
        ]
        with suppress(FileExistsError, FileNotFoundError):
            place = self.rng.choice(places)
            place.symlink_to(self.stranger)
            os.utime(place, (0, 0), follow_symlinks=False)
            self.links += 1

    def verify(self, plan_file: PlanFile) -> None:
        """Nothing was deleted outside the root, and every result's checkpoint is where it says."""
        assert (self.stranger / "thesis.tex").read_text() == THESIS
        assert (self.stranger / "final" / "progress.json").read_text() == THESIS
        for key in plan_file.nodes:
            result = plan_file.ledger.result(key)
            assert result is not None
            if not is_freed(plan_file.ledger, key):
                place = plan_file.ledger.folder(key) / str(result.checkpoint)
                assert stat.S_ISDIR(place.lstat().st_mode), place


@contextmanager
def chaos(out: Path, rng: random.Random, fork: Callable[[Callable[[], int], Path], object]) -> Iterator[Chaos]:
    """Disturbances of a sweep in `out`, with `gc` in a loop in a process of its own that `fork` starts."""
    disturbances = Chaos(out, rng)
    for folder in (disturbances.stranger, disturbances.stranger / "final"):
        folder.mkdir()
    for name in ("thesis.tex", "final/progress.json", ".old"):
        (disturbances.stranger / name).write_text(THESIS)
    log = out.with_name(f"{out.name}-gc.log")
    collector = fork(lambda: collect_for_ever(out, rng.random()), log)
    try:
        yield disturbances
    finally:
        disturbances.wake(float("inf"))
        os.kill(collector.pid, signal.SIGKILL)  # type: ignore[attr-defined]
        collector.wait()  # type: ignore[attr-defined]


def collect_for_ever(out: Path, seed: float) -> int:
    """Run `gc` under one wrong clock after another; writes a line for each, and ends with an error of its own."""
    rng, right = random.Random(seed), time.time
    while True:
        skew = rng.choice(SKEWS)
        time.time = lambda: right() + skew  # noqa: B023 - changed again before the next use
        with suppress(InputError):  # no ledger yet
            freed = collect_garbage(Ledger(out), patient=rng.random() < 0.3)
            os.write(1, f"gc {skew:g} {len(freed.nodes)} {freed.leftovers}\n".encode())
        time.sleep(0.05)
