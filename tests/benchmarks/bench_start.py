"""What a worker of this machine takes from its start to its first claim: forked, and by its command, in turns.

Seconds of wall and of processor, and memory at the claim that is the worker's alone; medians over rounds. What a
launcher pays once, the start of its fork server, stands apart.
"""

import os
import resource
import signal
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench_dispatch import STUDY
from record import machine, require, write

from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import PlanFile
from sweeps.launchers.death_count import attempt_held_by
from sweeps.launchers.worker_command import THREAD_VARIABLES, trainer, worker_command
from sweeps.launchers.worker_process import ProcessStarter, process_starter
from sweeps.plan.prepare import prepare
from sweeps.plan.write_plan import write_plan_file

ROUNDS = 7
LOOK_SECONDS = 0.005

Figures = dict[str, float]


def main() -> None:
    """Measure and write the record."""
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, "1")}
    with tempfile.TemporaryDirectory() as folder:
        study, log = Path(folder) / "study.yaml", Path(folder) / "log"
        study.write_text(STUDY)
        ledger = Ledger(Path(folder) / "out")
        prepared = prepare(str(study), [], ledger)
        plan_file = write_plan_file(prepared.study, prepared.plan, Path(folder) / "out", ledger)
        command = worker_command(trainer(), plan_file)
        by_command, began, ready = ProcessStarter(command, environment, log), time.perf_counter(), 0.0
        rounds: dict[str, list[Figures]] = {"by_command": [], "forked": []}
        with process_starter(command, environment, log) as forking:
            _wait(forking.ready)
            ready = time.perf_counter() - began
            for _ in range(ROUNDS):
                for way, starter in {"by_command": by_command, "forked": forking}.items():
                    rounds[way].append(to_first_claim(starter, plan_file, environment, log))
            before = _processor_seconds()
        server = {"wall_seconds": ready, "processor_seconds": _processor_seconds() - before}
    medians = {
        way: {figure: statistics.median(of[figure] for of in found) for figure in found[0]}
        for way, found in rounds.items()
    }
    write("start", {"machine": machine(), "rounds": ROUNDS, **medians, "fork_server_once": server})
    forked, executed = (medians[way]["processor_seconds"] for way in ("forked", "by_command"))
    require("processor seconds of a forked worker's start, of one by its command", forked / executed, 0.1)


def to_first_claim(starter: ProcessStarter, plan_file: PlanFile, environment: dict[str, str], log: Path) -> Figures:
    """Start a worker and kill it when it has claimed a node."""
    before, began = _processor_seconds(), time.perf_counter()
    worker = starter.start(environment, log)
    _wait(lambda: attempt_held_by(plan_file, pid=worker.pid) is not None)
    seconds = time.perf_counter() - began
    memory = dict(line.split()[:2] for line in Path(f"/proc/{worker.pid}/smaps_rollup").read_text().splitlines()[1:])
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    return {
        "wall_seconds": seconds,
        "processor_seconds": _processor_seconds() - before,
        "own_megabytes": int(memory["Private_Dirty:"]) / 1000,
    }


def _wait(true: Callable[[], bool]) -> None:
    while not true():
        time.sleep(LOOK_SECONDS)


def _processor_seconds() -> float:
    """What processes that have ended took, of those started here."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
