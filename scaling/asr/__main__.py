"""A worker: claim a ready node, train it, commit its result, take the next. Started by a launcher, anywhere.

    python -m scaling.asr --ledger ROOT --plan DIR/plan.json

The plan lists the nodes to work on, in order, and where models and manifests lie. Exit code 0: nothing is left that
this worker could do (nodes that failed, and what waits for them, are recorded in the ledger). 143: stopped by a signal
after a checkpoint.
"""

import argparse
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

from scaling.console import log
from scaling.errors import InputError
from scaling.ledger import HEARTBEAT_SECONDS, Attempt, Ledger, LostLease, read_json
from scaling.spec import StageNode, node_from_json

WAIT_SECONDS = 0.2
"""Pause while other workers hold what this one needs next: short against any node, long against a directory listing."""


class Stop:
    """Set by SIGTERM or SIGINT: the worker checkpoints and leaves."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True


def main() -> int:
    """Work through the plan; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scaling.asr", description=__doc__.splitlines()[0])
    parser.add_argument("--ledger", type=Path, required=True, help="root folder of the ledger")
    parser.add_argument("--plan", type=Path, required=True, help="plan.json of the study to work on")
    arguments = parser.parse_args()
    stop = Stop()
    try:
        plan = read_json(arguments.plan)
        return work(Ledger(arguments.ledger), plan, stop)
    except InputError as error:
        log(f"error: {error}")
        return 2


def work(ledger: Ledger, plan: dict[str, Any], stop: Stop) -> int:
    """Claim and run nodes until none is left for this worker; the exit code."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch
    import transformers

    from scaling.asr.workshop import Sources, Workshop

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(int(plan["threads"]))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    workshop = Workshop(Sources(plan["sources"]), device)
    queue = Queue(ledger, plan["session"], {key: node_from_json(ledger.stage(key)["node"]) for key in plan["nodes"]})
    while not stop.asked:
        key, waiting = queue.next()
        if key is None and not waiting:
            return 0
        attempt = ledger.claim(key, session=plan["session"]) if key is not None else None
        if attempt is None:
            time.sleep(WAIT_SECONDS)
            continue
        run(attempt, queue.nodes[attempt.key], workshop, plan, stop)
    return 128 + signal.SIGTERM


def run(attempt: Attempt, node: StageNode, workshop: Any, plan: dict[str, Any], stop: Stop) -> None:
    """Run one claimed node to its result, its failure, or the loss of its lease."""
    from scaling.asr.node import run_node
    from scaling.asr.train import Diverged, Interrupted

    with Heartbeat(attempt) as heart:
        try:
            result = run_node(
                node, attempt, workshop, float(plan["checkpoint_seconds"]), lambda: stop.asked or heart.lost
            )
            attempt.commit(result)
            attempt.log({"event": "done"})
        except (LostLease, Interrupted) as reason:
            attempt.log({"event": "left", "cause": str(reason)})
            attempt.release()
        except Diverged as error:
            attempt.fail("diverged", str(error), session=plan["session"])
        except Exception as error:  # one failing node must not take the others down; its cause is kept
            attempt.log({"event": "traceback", "text": traceback.format_exc()})
            attempt.fail("error", f"{type(error).__name__}: {error}", session=plan["session"])


class Queue:
    """The plan's nodes in order, and what can be done about each of them now."""

    def __init__(self, ledger: Ledger, session: str, nodes: dict[str, StageNode]) -> None:
        self.nodes = nodes
        self._ledger = ledger
        self._session = session
        self._done: set[str] = set()

    def next(self) -> tuple[str | None, bool]:
        """The first node that may be claimed, and whether anything is still being worked on or waited for."""
        waiting = False
        dead: set[str] = set()
        for key, node in self.nodes.items():
            if self._is_done(key):
                continue
            needs = [need for need in (node.parent, node.start) if need is not None]
            attempts = self._ledger.attempts(key)
            failure = attempts[-1].failure() if attempts else None
            if (failure and failure["session"] == self._session) or any(need in dead for need in needs):
                dead.add(key)
            elif attempts and attempts[-1].held():
                waiting = True
            elif all(self._is_done(need) for need in needs):
                return key, True
            else:
                waiting = True
        return None, waiting

    def _is_done(self, key: str) -> bool:
        if key not in self._done and self._ledger.done(key):
            self._done.add(key)
        return key in self._done


class Heartbeat:
    """Keeps a lease alive from a thread of its own while the node trains; `lost` once another attempt took over."""

    def __init__(self, attempt: Attempt) -> None:
        self.lost = False
        self._attempt = attempt
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._over.wait(HEARTBEAT_SECONDS):
            try:
                self._attempt.beat()
                self._attempt.check_lease()
            except LostLease:
                self.lost = True
            except OSError as error:  # a full disk must not end the lease: touching a file needs no space
                log(f"heartbeat of {self._attempt.key}: {error}")


if __name__ == "__main__":
    sys.exit(main())
