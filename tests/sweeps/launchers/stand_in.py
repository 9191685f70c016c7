"""A trainer of another kind: what any program must do to work for a ledger, in fifty lines without torch.

It reads each node's stage.json, sleeps instead of training, and commits a result that depends on the node alone.
STAND_IN_SECONDS: how long a node takes. STAND_IN_HURTS: a file; the first node that sees it dies of it (SIGKILL),
after deleting it where STAND_IN_ONCE is set. STAND_IN_DECODES: how long the end of a run says that decoding took.
STAND_IN_FAILS: a stage name whose nodes fail. STAND_IN_EATS: bytes that a whole batch takes; each failure for memory
halves it. STAND_IN_HURRIES: a file; once it is there, nodes take no time.
"""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from scaling.ledger.ledger import Attempt, Ledger, LostLease
from scaling.ledger.plan_file import read_plan
from scaling.ledger.queue import Queue
from scaling.ledger.records import Event, NodeResult, Scores, Spent
from scaling.spec import StageNode

SECONDS = float(os.environ.get("STAND_IN_SECONDS", "0"))
stopped: list[int] = []


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--plan", type=Path, required=True)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
    ledger, plan = Ledger(arguments.ledger), read_plan(arguments.plan)
    queue, session = Queue(ledger, plan), plan.session
    while not stopped:
        attempt = next((taken for key in queue.ready() if (taken := ledger.claim(key, session=session))), None)
        if attempt is not None:
            train(attempt, ledger.node(attempt.key), session)
        elif not queue.waiting:
            return 0
        else:
            time.sleep(0.02)
    return 128 + signal.SIGTERM


def train(attempt: Attempt, node: StageNode, session: str) -> None:
    attempt.log(Event(event="start", flops=node.start_flops))
    if node.stage.name == os.environ.get("STAND_IN_FAILS"):
        attempt.fail("diverged", "loss nan at step 7", session=session)
        return
    hurts = Path(os.environ.get("STAND_IN_HURTS", "/nonexistent"))
    if hurts.exists():
        if "STAND_IN_ONCE" in os.environ:
            hurts.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    _eaten = b"x" * (int(os.environ.get("STAND_IN_EATS", "0")) >> attempt.ledger.memory_failures(attempt.key))
    hurries = Path(os.environ.get("STAND_IN_HURRIES", "/nonexistent"))
    for tenth in range(1, 11):
        time.sleep(0 if hurries.exists() else SECONDS / 10)
        flops = node.start_flops + (node.until_flops - node.start_flops) * tenth // 10
        attempt.log(Event(event="progress", flops=flops, executed_flops=flops, loss=1 / tenth, steps=tenth))
    try:
        attempt.commit(result(attempt, node))
    except LostLease:
        return


def result(attempt: Attempt, node: StageNode) -> NodeResult:
    cer = int(attempt.key[:4], 16) / 0xFFFF
    scores = Scores(cer=cer, errors=round(1000 * cer), ref_chars=1000, n_utterances=10) if node.final else None
    utterance = '{"test": "clean", "id": "0", "hyp": "secret words", "ref": "secret words"}\n'
    (attempt.folder / "utterances.jsonl").write_text(utterance)
    (attempt.folder / "final").mkdir(exist_ok=True)
    (attempt.folder / "final" / "weights").write_bytes(bytes(1000))
    folder = f"attempts/{attempt.number:04d}"
    return NodeResult(
        status="ok",
        flops=node.until_flops,
        executed_flops=node.until_flops,
        seconds=SECONDS,
        steps=10,
        audio_seconds=1.0,
        unique_audio_seconds=1.0,
        spent=Spent(flops=node.flops, executed_flops=node.until_flops, seconds=SECONDS),
        loss=0.1,
        checkpoint=f"{folder}/final",
        utterances=f"{folder}/utterances.jsonl" if node.final else None,
        evaluation_seconds=float(os.environ.get("STAND_IN_DECODES", "0")) if node.final else 0.0,
        dev=scores,
        test={"clean": scores} if scores else None,
        provenance={"trainer": "stand-in"},
    )


if __name__ == "__main__":
    sys.exit(main())
