"""The worker as `torchrun` starts it in tests: it tells the loss of every step, and may leave or die after some."""

import argparse
import os
import sys
from pathlib import Path

import torch

import scaling.asr.resources
import scaling.asr.train
from scaling.asr.__main__ import work
from scaling.asr.execution.ranks import join
from scaling.asr.execution.sharding import shard_llm
from scaling.asr.model.recognizer import Recognizer
from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import read_plan


class StopsOrDies:
    """Asked to leave, or dead, once looked at so many times: at every step, and between nodes."""

    def __init__(self, leave_after: int | None, die_after: int | None) -> None:
        self._looks, self._leave_after, self._die_after = 0, leave_after, die_after

    @property
    def asked(self) -> bool:
        self._looks += 1
        if self._looks == self._die_after:
            os.kill(os.getpid(), 9)
        return self._leave_after is not None and self._looks > self._leave_after


def watched_shard(model: Recognizer, size: int, device: torch.device) -> Recognizer:
    """Sharding, and the proof: what this process is left with of the LLM is its share, within a row a tensor."""
    sharded = shard_llm(model, size, device)
    for parameter in sharded.llm.parameters():
        assert parameter.to_local().numel() <= -(-len(parameter) // size) * parameter.numel() / len(parameter)
    return sharded


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--plan", type=Path, required=True)
    parser.add_argument("--leave-after", type=int)
    parser.add_argument("--last-rank-dies-after", type=int)
    parser.add_argument("--shard", action="store_true")
    arguments = parser.parse_args()
    scaling.asr.train.LOG_SECONDS = 0.0
    scaling.asr.resources.shard_llm = watched_shard
    ranks = join(shard=arguments.shard)
    stop = StopsOrDies(arguments.leave_after, arguments.last_rank_dies_after if ranks.rank == ranks.size - 1 else None)
    sys.exit(work(Ledger(arguments.ledger), read_plan(arguments.plan), stop, ranks))
