"""Ten thousand runs (34,800 nodes): planned and priced from a warm index, simulated, collected, surveyed and fitted.

Processor and wall seconds of one process a step; peak memory of planning. Uses the shipped minis and their corpus.
What is promised is measured several times, in turns: on a shared machine the least says most of the program; all are
recorded.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from record import machine, require, write

TRIES = 5

FIELDS = [
    f"budgets_flops={[10**11 * (1 + number) for number in range(25)]}",
    "models=[{encoder: mini-s, llm: mini-s}]",
    "strategies=[efin, joint, frozen_encoder, projector_only]",
    f"seeds={list(range(100))}",
]
PLAN = """
import json, resource, sys, time
from scaling.cli import collect_garbage_seldom as collect_seldom
from sweeps.costs.cost_estimate import estimate_cost
from sweeps.plan.prepare import prepare
from sweeps.plan_report import plan_document
collect_seldom()
began = time.process_time()
prepared = prepare("simulated", json.loads(sys.argv[1]), None)
runs = len(plan_document(prepared, estimate_cost(prepared, None))["runs"])
seconds = time.process_time() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"runs": runs, "processor_seconds": seconds, "peak_megabytes": peak / 1000}))
"""


def main() -> None:
    """Measure each step in a process of its own and write the record."""
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "out")
        settings = [part for field in FIELDS for part in ("--set", field)]
        report: dict[str, Any] = {
            "simulate_and_collect": timed("run", "simulated", "--simulate", "--out", out, *settings),
            "status_cold": timed("status", out),
        }
        waiting = unstarted(out)
        promised: dict[str, Callable[[], dict[str, Any]]] = {
            "plan": planned,
            "status": lambda: timed("status", out),
            "status_waiting": lambda: timed("status", waiting),
        }
        rounds = [{name: measure() for name, measure in promised.items()} for _ in range(TRIES)]
        report |= {name: least([measured[name] for measured in rounds]) for name in promised}
        report |= {
            "fit": timed("fit", out),
            "predict": timed("predict", out, "--flops", "1e13"),
            "recommend": timed("recommend", out, "--flops", "1e13"),
        }
    write("plan", {"machine": machine(), **report})
    require("processor seconds to plan ten thousand runs", report["plan"]["processor_seconds"], 2.0)
    require("megabytes to plan ten thousand runs", report["plan"]["peak_megabytes"], 500.0)
    require("processor seconds of status, warm", report["status"]["processor_seconds"], 1.0)
    require("processor seconds of status, warm, none begun", report["status_waiting"]["processor_seconds"], 1.0)


def least(measured: list[dict[str, Any]]) -> dict[str, Any]:
    """The quickest of several measurements, and the processor seconds of all of them."""
    by_seconds = sorted(measured, key=lambda found: float(found["processor_seconds"]))
    return {**by_seconds[0], "all_processor_seconds": [found["processor_seconds"] for found in by_seconds]}


def unstarted(out: str) -> str:
    """A copy of the study in `out` as it was before any node had begun."""
    return shutil.copytree(out, f"{out}-unstarted", ignore=shutil.ignore_patterns("result.json", "runs.jsonl"))


def planned() -> dict[str, Any]:
    """Planning in a process of its own, as the command does it; imports of its modules are not counted."""
    done = subprocess.run([sys.executable, "-c", PLAN, json.dumps(FIELDS)], capture_output=True, check=True)
    return dict(json.loads(done.stdout))


def timed(*arguments: str) -> dict[str, float]:
    """Wall and processor seconds of one command, start and end included, with modules compiled once as usual."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-c", "from scaling.cli import main; main()", *arguments]
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=usual, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_seconds": time.perf_counter() - began, "processor_seconds": processor}


if __name__ == "__main__":
    main()
