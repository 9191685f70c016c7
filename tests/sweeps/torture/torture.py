"""A sweep of quick real nodes under `kill -9`, until so many processes have died: `python torture.py --kills 1000`.

What dies: workers and launchers, at random moments and at each place where they write; sometimes a launcher with all
its workers at once, as in a power cut. What is real: the study, the launcher with its watching and restarting, the
worker, torch, the ledger. What is not: processes are forked from one that has imported everything, because importing
torch a thousand times would take an hour, and the launcher's pauses before a restart are shortened.

After each sweep: every run is there, the table is the undisturbed one but for time, each node has one result from one
attempt, and every file that should hold JSON or tensors does.
"""

import argparse
import itertools
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos import Chaos, chaos, shorten_leases
from forked import Forked, ProcessStarter
from safetensors.torch import load_file
from tiny_world import timeless, write_study, write_world

from scaling.ledger.checkpoints import is_freed
from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import read_plan_file
from scaling.system import fault_injection as faults
from scaling.system.json_files import read_json
from sweeps.launchers import local_workers
from sweeps.plan.prepare import prepare
from sweeps.progress.results_table import read_rows
from sweeps.progress.retention import collect_garbage
from sweeps.run.run import train

WORKERS = 2
PAUSE_SECONDS = (0.02, 0.3)
"""Between kills at random moments: a node takes about as long."""

LAUNCHER_SHARE = 0.2
POWER_CUT_SHARE = 0.1
"""Of the kills at random moments: the launcher alone, and the launcher with its workers."""

GC_SHARE = 0.2
"""How often, after such a kill, what no run needs is freed, whatever works at the time."""

WORKERS_WRITE = (
    "claim",
    "events.jsonl",
    "weights.safetensors",
    "optimizer.safetensors",
    "progress.json",
    "an older checkpoint",
    "utterances.jsonl",
    "result.json",
)
LAUNCHERS_WRITE = ("stage.json", "study.yaml", "plan.json", "runs.jsonl")
"""What is written, one after another torn at its first, second, third and fourth write point."""

KILLS_A_SWEEP = 50
"""At random moments: about three a node, most of them while something is at work."""

LAUNCHERS_TO_DIE = 6
"""In one sweep at write points."""

MOST_SECONDS_A_SWEEP = 300.0
"""A sweep that takes longer hangs: undisturbed it takes seconds."""

FIELDS = {"budgets_flops": [2e8, 4e8], "strategies": ["efin", "joint"], "checkpoint_seconds": 0.1}


@dataclass
class Toll:
    """What died, and where."""

    kills: Counter[str] = field(default_factory=Counter)
    places: Counter[str] = field(default_factory=Counter)
    sweeps: int = 0
    freed: int = 0
    kills_in_chaos: int = 0
    collections: int = 0
    stops: int = 0
    links: int = 0

    @property
    def total(self) -> int:
        return sum(self.kills.values())


def torture(
    folder: Path, kills: int, seconds: float, seed: int = 0, *, at_random: int = KILLS_A_SWEEP, **fields: Any
) -> dict[str, Any]:
    """Kill until `kills` processes have died or the time is up, and finish; the counts. Raises AssertionError.

    There is one sweep of each kind at least; in one at random moments no more than `at_random` die. A third of the
    kills are amid the disturbances of a shared disk (`chaos`).
    """
    study = write_study(write_world(folder / "world"), **{**FIELDS, **fields})
    plain = folder / "plain"
    hurry()
    shorten_leases()
    assert start(study, plain, itertools.repeat("")).wait() == 0
    truth = table(plain)
    assert {row["status"] for row in truth} == {"ok"}
    toll, rng, began = Toll(), random.Random(seed), time.monotonic()
    faults_in_turn = (
        itertools.cycle(f"{number} {name}" for number in (1, 2, 3, 4) for name in WORKERS_WRITE),
        itertools.cycle(f"{number} {name}" for number in (1, 2, 3, 4) for name in LAUNCHERS_WRITE),
    )
    while toll.sweeps < 3 or (
        (toll.total < kills or toll.kills_in_chaos < kills / 3) and time.monotonic() - began < seconds
    ):
        out = folder / f"sweep-{toll.sweeps}"
        if toll.sweeps % 3 == 1:
            sweep_at_random(study, out, toll, rng, at_random)
        elif toll.sweeps % 3 == 2:
            sweep_in_chaos(study, out, toll, rng, at_random)
        else:
            sweep_at_write_points(study, out, toll, *faults_in_turn)
        count_places(out, toll)
        verify(out, truth, plain)
        toll.sweeps += 1
        shutil.rmtree(out)
        print(f"{toll.total} kills in {toll.sweeps} sweeps", file=sys.stderr, flush=True)  # noqa: T201
    return {
        "kills": toll.total,
        "by": dict(toll.kills),
        "write_points": len(toll.places),
        "kills_by_write_point": dict(toll.places.most_common()),
        "sweeps": toll.sweeps,
        "checkpoints_freed_on_the_way": toll.freed,
        "in_chaos": {
            "kills": toll.kills_in_chaos,
            "gc_runs_under_wrong_clocks": toll.collections,
            "workers_stopped": toll.stops,
            "links_planted": toll.links,
            "deleted_outside": 0,
            "results_without_checkpoint": 0,
        },
        "nodes_a_sweep": len(read_plan_file(plain).nodes),
        "lost": 0,
        "committed_twice": 0,
        "corrupt": 0,
        "tables_unlike_the_undisturbed_one": 0,
        "seconds": round(time.monotonic() - began, 1),
    }


def hurry() -> None:
    """Restart at once what has died, and look more often: a kill a second would be a slow torture."""
    local_workers.BACK_OFF_SECONDS = (0.02,)
    local_workers.POLL_SECONDS = 0.02
    local_workers.DEATHS_IN_A_ROW = 1_000_000


def start(study: Path, out: Path, worker_faults: Iterator[str], launcher_fault: str = "") -> Forked:
    """A launcher, forked, that dies of its fault, and whose workers die of theirs (an empty one: never)."""

    @contextmanager
    def process_starter(command: Any, *_: Any) -> Iterator[ProcessStarter]:
        yield ProcessStarter(command[-4:], out / "logs", worker_faults)

    def launch() -> int:
        local_workers.process_starter = process_starter
        faults.set_fault(launcher_fault)
        ledger = Ledger(out)
        return train(prepare(str(study), [], ledger), out, ledger, WORKERS).exit_code

    out.mkdir(parents=True, exist_ok=True)
    return Forked(launch, out / "launcher.log")


def sweep_at_write_points(
    study: Path, out: Path, toll: Toll, worker_faults: Iterator[str], launcher_faults: Iterator[str]
) -> None:
    """One sweep whose workers die of the next faults in turn, and every other launcher too, a dozen at most."""
    code = None
    for number in itertools.count():
        if code == 0:
            return
        fault = next(launcher_faults) if number % 2 == 0 and number < 2 * LAUNCHERS_TO_DIE else ""
        # A launcher hands its workers' faults out itself: it gets those of its own time, then its workers live.
        mine = [next(worker_faults) for _ in range(len(WORKERS_WRITE))]
        code = start(study, out, itertools.chain(mine, itertools.repeat("")), fault).wait(MOST_SECONDS_A_SWEEP)
        toll.kills["launcher at a write point"] += code == -signal.SIGKILL


def sweep_in_chaos(study: Path, out: Path, toll: Toll, rng: random.Random, most: int) -> None:
    """One sweep under kills at random moments, amid the disturbances of a shared disk."""
    before = toll.total
    out.mkdir()
    with chaos(out, rng, Forked) as disturbances:
        sweep_at_random(study, out, toll, rng, most, disturbances)
    disturbances.verify(read_plan_file(out))
    log = out.with_name(f"{out.name}-gc.log").read_text()
    assert all(line.startswith(("gc ", "watching ", "left as it is")) for line in log.splitlines()), log
    toll.kills_in_chaos += toll.total - before
    toll.collections += disturbances.collections
    toll.stops += disturbances.stops
    toll.links += disturbances.links


def sweep_at_random(
    study: Path, out: Path, toll: Toll, rng: random.Random, most: int, disturbances: Chaos | None = None
) -> None:
    """One sweep under kills at random moments, so many at most: then it may come to its end."""
    enough = toll.total + most
    launcher = start(study, out, itertools.repeat(""))
    while (code := launcher.poll()) != 0:
        if code is not None:
            launcher = start(study, out, itertools.repeat(""))
        time.sleep(rng.uniform(*PAUSE_SECONDS))
        if launcher.poll() is None and toll.total < enough:
            kill_at_random(launcher, toll, rng)
        if disturbances is not None:
            disturbances.disturb(children(launcher.pid) if toll.total < enough else [])
        elif (out / "stages").is_dir() and rng.random() < GC_SHARE:
            toll.freed += len(collect_garbage(Ledger(out)).nodes)


def kill_at_random(launcher: Forked, toll: Toll, rng: random.Random) -> None:
    workers = children(launcher.pid)
    drawn = rng.random()
    if drawn < LAUNCHER_SHARE + POWER_CUT_SHARE:
        os.kill(launcher.pid, signal.SIGKILL)
        launcher.wait()
        toll.kills["launcher"] += 1
        if drawn < POWER_CUT_SHARE:
            for pid in workers:
                toll.kills["worker, with its launcher"] += kill(pid)
    elif workers:
        toll.kills["worker"] += kill(rng.choice(workers))


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def kill(pid: int) -> int:
    """1 where the process lived until now."""
    try:
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX":
            return 0
        os.kill(pid, signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 1


def count_places(out: Path, toll: Toll) -> None:
    """Deaths at write points, as the dying wrote them down."""
    for log in [*out.glob("logs/*.log"), out / "launcher.log"]:
        for line in log.read_text(errors="replace").splitlines():
            if line.startswith("died at write point: "):
                toll.places[line.partition(": ")[2]] += 1
                toll.kills["worker at a write point"] += log.name != "launcher.log"


def table(out: Path) -> list[dict[str, Any]]:
    return [timeless(row) | {"spent_flops": row.spent.flops} for row in read_rows(out)]


def verify(out: Path, truth: list[dict[str, Any]], plain: Path) -> None:
    """Nothing lost, nothing twice, nothing torn, and the table of the undisturbed sweep."""
    plan_file = read_plan_file(out)
    assert table(out) == truth
    for key in plan_file.nodes:
        folder = plan_file.ledger.folder(key)
        result, undisturbed = read_json(folder / "result.json"), read_json(Ledger(plain).folder(key) / "result.json")
        assert result["flops"] == undisturbed["flops"]
        assert result["executed_flops"] == undisturbed["executed_flops"]
        assert result["spent"]["flops"] == undisturbed["spent"]["flops"]
        attempts = plan_file.ledger.attempts(key)
        done = [a.number for a in attempts if a.events.exists() and b'"event": "done"' in a.events.read_bytes()]
        assert done in ([], [result["attempt"]]), f"{key}: {done}"
        if not is_freed(plan_file.ledger, key):
            load_file(folder / result["checkpoint"] / "weights.safetensors")
            read_json(folder / result["checkpoint"] / "progress.json")
    for path in out.rglob("*.json"):  # which follows no link to a folder
        if not any(part.startswith(".") for part in path.relative_to(out).parts):  # never moved to its place: no record
            read_json(path)


def main() -> None:
    """Torture and write the counts to results/benchmarks/torture.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=1800.0, help="no new sweep after so long")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ASR_SCALING_CACHE"] = f"{folder}/cache"
        report = torture(Path(folder), arguments.kills, arguments.seconds, arguments.seed)
    sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
    from record import machine, write

    write("torture", {"machine": machine(), **report})
    print(json.dumps(report, indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
