"""A trainer of another kind as a worker of a study: fifty lines around a training loop of your own.

    asr-scaling run study.yaml --out DIR --worker "python docs/external_trainer.py"

This one trains nothing: it commits made-up error rates. Replace `train` by a call of your toolkit.
"""

import argparse
import sys
import time
from pathlib import Path

from scaling.ledger.ledger import Attempt, Ledger, LostLease
from scaling.ledger.plan_file import read_plan
from scaling.ledger.queue import Heartbeat, Queue
from scaling.ledger.records import Event, NodeResult, Scores, Spent
from scaling.spec import StageNode


def main() -> int:
    """Take ready nodes until none is left; see docs/external-trainer.md."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--plan", type=Path, required=True)
    arguments = parser.parse_args()
    ledger, plan = Ledger(arguments.ledger), read_plan(arguments.plan)
    queue, session = Queue(ledger, plan), plan.session
    while True:
        attempt = next((taken for key in queue.ready() if (taken := ledger.claim(key, session=session))), None)
        if attempt is None:
            if not queue.waiting:
                return 0  # nothing is left that could be done
            time.sleep(0.2)  # others hold what comes next
            continue
        with Heartbeat(attempt) as heartbeat:
            try:
                attempt.commit(train(attempt, ledger.node(attempt.key), heartbeat))
            except LostLease:
                pass  # another worker took over while this one was silent
            except FloatingPointError as error:
                attempt.fail("diverged", str(error), session=session)
            except Exception as error:
                attempt.fail("error", f"{type(error).__name__}: {error}", session=session)


def train(attempt: Attempt, node: StageNode, heartbeat: Heartbeat) -> NodeResult:
    """Train `node.stage` until `node.until_flops` are charged; stop early once `heartbeat.lost`. Return the result."""
    flops = node.until_flops
    attempt.log(Event(event="start", flops=node.start_flops))
    attempt.log(Event(event="progress", flops=flops, executed_flops=flops, loss=1.0, steps=1))
    (attempt.folder / "final").mkdir()
    scores = Scores(cer=0.1, errors=10, ref_chars=100, n_utterances=5)
    return NodeResult(
        status="ok",
        flops=flops,
        executed_flops=flops,
        steps=1,
        audio_seconds=60.0,
        seconds=1.0,
        unique_audio_seconds=60.0,
        spent=Spent(flops=node.flops, executed_flops=node.flops, seconds=1.0),
        loss=1.0,
        checkpoint=f"attempts/{attempt.number:04d}/final",
        utterances=None,
        dev=scores if node.final else None,
        test={name: scores for name, _ in node.data.test} if node.final else None,
        provenance={"trainer": "an example"},
    )


if __name__ == "__main__":
    sys.exit(main())
