"""A worker, which claims a ready node, trains it, commits its result, and takes the next. A launcher starts it.

    python -m scaling.asr --ledger ROOT --plan DIR/plan.json

The plan lists the nodes to work on, in order, and where models and manifests lie. Exit code 0: no node is left that
this worker could run; nodes that failed are recorded in the ledger. 143: a signal stopped the worker, after a
checkpoint.

Several processes of one worker, on one machine or more, train each node together, an accelerator each:

    python -m scaling.asr.execution.torchrun --nproc-per-node 4 -m scaling.asr --ledger ROOT --plan DIR/plan.json

A node that ran out of memory is tried again with twice as many micro-batches, by a process of its own (`--node KEY`):
if that one is killed too, the worker survives.
"""

import argparse
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

from scaling.asr.execution.ranks import SINGLE_PROCESS, Ranks, join
from scaling.asr.worker import IDLE, LEAVE, Worker
from scaling.errors import InputError
from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import PlanFile, read_plan
from scaling.ledger.queue import Queue
from scaling.system.console import log
from scaling.system.parent_death import end_with_parent

WAIT_SECONDS = 0.2
"""Pause while other workers run needed nodes: short against a node, long against listing a folder (assumption)."""


class Stop:
    """`asked` turns true on SIGTERM, SIGINT, or SIGUSR1, which srun passes on: the worker checkpoints and leaves."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True


def main() -> int:
    """Work through the plan; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scaling.asr", description=__doc__.splitlines()[0])
    parser.add_argument("--ledger", type=Path, required=True, help="root folder of the ledger")
    parser.add_argument("--plan", type=Path, required=True, help="plan.json of the study to work on")
    parser.add_argument("--node", metavar="KEY", help="work on this node alone, and leave")
    parser.add_argument("--shard", action="store_true", help="each process holds a shard of the LLM")
    arguments = parser.parse_args()
    stop = Stop()
    try:
        ledger, plan = Ledger(arguments.ledger), read_plan(arguments.plan)
        if arguments.node is None:
            return work(ledger, plan, stop, _meet(shard=arguments.shard))
        end_with_parent()
        Worker(ledger, plan, stop).run(arguments.node)
    except InputError as error:
        log(f"error: {error}")
        return 2
    return 0


def work(ledger: Ledger, plan: PlanFile, stop: Any, ranks: Ranks = SINGLE_PROCESS) -> int:
    """Claim and run nodes until none is left for this worker; returns the exit code."""
    worker = Worker(ledger, plan, stop, ranks)
    if ranks.first:
        _lead(worker, Queue(ledger, plan), stop)
        worker.announce(LEAVE)
    else:
        worker.follow()
    ranks.leave()
    return 128 + signal.SIGTERM if stop.asked else 0


def _meet(*, shard: bool) -> Ranks:
    ranks = join(shard=shard)
    if ranks.size > 1:
        end_with_parent()  # torchrun, whose processes would outlive it
    return ranks


def _lead(worker: Worker, queue: Queue, stop: Any) -> None:
    while not stop.asked:
        if any(worker.take(key) for key in queue.ready()):
            continue
        if not queue.waiting:
            return
        worker.announce(IDLE)
        time.sleep(WAIT_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
