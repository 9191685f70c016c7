"""What a long-lived worker spends between nodes: from a commit to the next node's first step, on the shipped minis.

In between lie the look for work, the claim, the base models and the parent's weights, and the first batch read. Seconds
of wall and of processor, medians over the nodes of one worker; its first node, which reads everything, stands apart.
"""

import itertools
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from record import machine, require, write

import scaling.asr.train as training
from scaling.asr.__main__ import work
from scaling.ledger.ledger import Attempt, Ledger
from sweeps.plan.prepare import prepare
from sweeps.plan.write_plan import write_plan_file

STUDY = """
name: dispatch
budgets_flops: [8.0e9, 1.2e10, 1.6e10]
models: [{encoder: mini-s, llm: mini-s}]
strategies: [joint, frozen_encoder]
batch_audio_seconds: 2.5
data: {corpus: synthetic-zh-digits, hours: 0.1}
"""


class NeverStop:
    """Nobody asks this worker to leave."""

    asked = False


def main() -> None:
    """Train a small study in this process and write the record."""
    os.environ["OMP_NUM_THREADS"] = "1"
    moments: list[tuple[str, float, float]] = []

    def note(what: str) -> None:
        moments.append((what, time.perf_counter(), time.process_time()))

    plain_step, plain_commit = training.take_step, Attempt.commit

    def step(*arguments: Any) -> float:
        if moments[-1][0] != "step":
            note("step")
        return plain_step(*arguments)

    def commit(attempt: Attempt, result: dict[str, Any]) -> None:
        plain_commit(attempt, result)
        note("commit")

    training.take_step, Attempt.commit = step, commit  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "study.yaml"
        study.write_text(STUDY)
        ledger = Ledger(Path(folder) / "out")
        prepared = prepare(str(study), [], ledger)
        plan_file = write_plan_file(prepared.study, prepared.plan, Path(folder) / "out", ledger)
        note("commit")
        assert work(ledger, plan_file, NeverStop()) == 0
    pairs = [(after, before) for before, after in itertools.pairwise(moments) if after[0] == "step"]
    wall, processor = ([after[column] - before[column] for after, before in pairs] for column in (1, 2))
    median = {"wall_seconds": statistics.median(wall[1:]), "processor_seconds": statistics.median(processor[1:])}
    write(
        "dispatch",
        {
            "machine": machine(),
            "nodes": len(wall),
            "first_node": {"wall_seconds": wall[0], "processor_seconds": processor[0]},
            "median": median,
            "largest": {"wall_seconds": max(wall[1:]), "processor_seconds": max(processor[1:])},
        },
    )
    require("processor seconds between two nodes, median", median["processor_seconds"], 0.2)


if __name__ == "__main__":
    main()
