"""Damaged input for every reader: only a clear error or an answer may come out, in bounded time and memory.

    python tests/fuzz/fuzz.py --minutes 10 [--target NAME] [--seed 0] [--case N]

A case is a target and a number, and repeats exactly with `--target` and `--case`. What is a failure: an exception that
is no InputError, an exit code other than 0, 1 or 2, an error of several lines, JSON that is none, files left behind by
a refusal, more than 30 s of computing or 2 GiB. Failures are printed once each, by where they come from.
"""

import multiprocessing
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any

import typer
from mutations import damage_file
from targets import TARGETS, Refused, Target, World

from scaling.errors import InputError

SECONDS = 30
MEMORY_BYTES = 2 << 30
"""Above what the process has when it begins: torch, pyarrow and libsndfile map much that they never touch."""

LONGEST_MESSAGE = 4000


class TooSlow(Exception):
    """A case ran into its time limit."""


def main(
    minutes: Annotated[float, typer.Option(help="For all targets together.")] = 10.0,
    target: Annotated[list[str] | None, typer.Option(help="Only these; default: all.")] = None,
    seed: Annotated[int, typer.Option(help="Of the first case.")] = 0,
    case: Annotated[int | None, typer.Option(help="Only this case, with its traceback.")] = None,
) -> None:
    """Fuzz the readers."""
    chosen = {name: TARGETS[name] for name in target or TARGETS}
    if case is not None:
        raise SystemExit(not all(_lone(name, found, case) for name, found in chosen.items()))
    failures = 0
    for name, found in chosen.items():
        failures += _fuzz(name, found, seed, minutes * 60 / len(chosen))
    raise SystemExit(bool(failures))


def _lone(name: str, target: Target, case: int) -> bool:
    with tempfile.TemporaryDirectory() as scratch:
        world = World(Path(scratch))
        target.begin(world)
        failure = run_case(target, world, case)
    typer.echo(f"{name} {case}: {failure or 'ok'}")
    return failure is None


def _fuzz(name: str, target: Target, seed: int, seconds: float) -> int:
    """Cases of one target in processes of their own, so that one that crashes is found and the rest goes on."""
    seen: Counter[str] = Counter()
    case, end, context = seed, time.monotonic() + seconds, multiprocessing.get_context("spawn")
    while time.monotonic() < end:
        ours, theirs = context.Pipe()
        worker = context.Process(target=_work, args=(name, case, end, theirs))
        worker.start()
        theirs.close()
        case = _listen(name, ours, case, seen)
        worker.join()
        if worker.exitcode:
            seen[f"killed by {worker.exitcode}"] += 1
            typer.echo(f"FAIL {name} {case}: the process ended with {worker.exitcode}")
        case += 1
    typer.echo(f"{name}: {case - seed} cases, {len(seen)} kinds of failure: {dict(seen) or ''}")
    return len(seen)


def _listen(name: str, ours: Connection, case: int, seen: "Counter[str]") -> int:
    """Follow a worker until it ends; the case it was at."""
    try:
        while True:
            case, failure = ours.recv()
            if failure is not None:
                kind = failure.splitlines()[0]
                seen[kind] += 1
                if seen[kind] == 1:
                    typer.echo(f"FAIL {name} {case}: {failure}")
    except EOFError:
        return case


def _work(name: str, case: int, end: float, theirs: Connection) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        world = World(Path(scratch))
        TARGETS[name].begin(world)
        while time.monotonic() < end:
            theirs.send((case, None))
            theirs.send((case, run_case(TARGETS[name], world, case)))
            case += 1


def run_case(target: Target, world: World, case: int) -> str | None:
    """What went wrong, its first line the kind; None where the target stood the damage."""
    rng = random.Random(case)
    folder = world.root / "case"
    target.lay_out(world, folder)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if files := sorted(path for path in target.files(folder) if path.is_file() and not path.is_symlink()):
            damage_file(rng.choice(files), rng)
    before = _listing(folder)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_address_space() + MEMORY_BYTES, limits[1]))
    _limit_time(SECONDS)
    try:
        target.read(folder, rng)
    except (InputError, Refused) as error:
        if not target.may_fail:
            return f"refused\n{error}"
        return _judge(error, _listing(folder) - before - set(target.may_write))
    except BaseException as error:  # everything else is what is looked for
        return _described(error)
    finally:
        _limit_time(0)
        resource.setrlimit(resource.RLIMIT_AS, limits)
    return None


def _judge(error: Exception, left: set[str]) -> str | None:
    said = str(error).splitlines()
    last = said[-1] if said else ""
    if not last or len(last) > LONGEST_MESSAGE or not last.isprintable() or "Traceback" in str(error):
        return f"unreadable message\n{str(error)[:600]!r}"
    return f"left behind by a refusal: {sorted(left)[0]}\n{last[:600]}" if left else None


def _listing(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def _described(error: BaseException) -> str:
    return f"{type(error).__name__} at {_place(error)}\n{str(error)[:300]}\n" + "".join(
        traceback.format_exception(error)[-5:]
    )


def _place(error: BaseException) -> str:
    """The innermost line of this project."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/site-packages/" not in frame.filename and "/tests/" not in frame.filename]
    ours = [frame for frame in ours if any(part in frame.filename for part in ("/scaling/", "/sweeps/", "/analysis/"))]
    return f"{ours[-1].filename.split('/')[-1]}:{ours[-1].lineno} in {ours[-1].name}" if ours else "the fuzzer"


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _limit_time(seconds: int) -> None:
    """Of computing; and ten times as long in all, for what waits for ever on a busy machine or an idle one."""
    for timer, alarm, limit in (
        (signal.ITIMER_PROF, signal.SIGPROF, seconds),
        (signal.ITIMER_REAL, signal.SIGALRM, 10 * seconds),
    ):
        signal.signal(alarm, _too_slow)
        signal.setitimer(timer, limit)


def _too_slow(*_: Any) -> None:
    raise TooSlow(f"over {SECONDS} s")


if __name__ == "__main__":
    sys.setrecursionlimit(1000)
    typer.run(main)
