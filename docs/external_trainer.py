"""A trainer of another kind as a worker of a study: fifty lines around a training loop of your own.

    asr-scaling run study.yaml --out DIR --worker "python docs/external_trainer.py"

This one trains nothing: it commits made-up error rates. Replace `train` by a call of your toolkit.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from scaling.ledger.ledger import Attempt, Ledger, LostLease
from scaling.ledger.queue import Heartbeat, Queue
from scaling.system.json_files import read_json


def main() -> int:
    """Take ready nodes until none is left; see docs/external-trainer.md."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--plan", type=Path, required=True)
    arguments = parser.parse_args()
    ledger, plan = Ledger(arguments.ledger), read_json(arguments.plan)
    queue, session = Queue(ledger, plan), plan["session"]
    while True:
        attempt = next((taken for key in queue.ready() if (taken := ledger.claim(key, session=session))), None)
        if attempt is None:
            if not queue.waiting:
                return 0  # nothing is left that could be done
            time.sleep(0.2)  # others hold what comes next
            continue
        with Heartbeat(attempt) as heartbeat:
            try:
                attempt.commit(train(attempt, ledger.stage(attempt.key)["node"], plan, heartbeat))
            except LostLease:
                pass  # another worker took over while this one was silent
            except FloatingPointError as error:
                attempt.fail("diverged", str(error), session=session)
            except Exception as error:
                attempt.fail("error", f"{type(error).__name__}: {error}", session=session)


def train(attempt: Attempt, node: dict[str, Any], plan: dict[str, Any], heartbeat: Heartbeat) -> dict[str, Any]:
    """Train `node["stage"]` until `node["until_flops"]` are charged; stop early once `heartbeat.lost`. The result."""
    flops, began = node["until_flops"], node["start_flops"]
    attempt.log({"event": "start", "flops": began})
    attempt.log({"event": "progress", "flops": flops, "executed_flops": flops, "loss": 1.0, "steps": 1})
    (attempt.folder / "final").mkdir()
    scores = {"cer": 0.1, "errors": 10, "ref_chars": 100, "n_utterances": 5}
    work = {"flops": flops, "executed_flops": flops, "seconds": 1.0}
    return {
        "status": "ok",
        "steps": 1,
        "audio_seconds": 60.0,
        "unique_audio_seconds": 60.0,
        "loss": 1.0,
        **work,
        "spent": {**work, "flops": flops - began},
        "checkpoint": f"attempts/{attempt.number:04d}/final",
        "dev": scores if node["final"] else None,
        "test": {name: scores for name, _ in node["data"]["test"]} if node["final"] else None,
        "utterances": None,
        "provenance": {"trainer": "an example"},
    }


if __name__ == "__main__":
    sys.exit(main())
