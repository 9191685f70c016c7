"""A run as trackers show it: what is sent of it, its name, and its curve point by point."""

from collections.abc import Mapping
from typing import Protocol

from scaling.ledger.records import RunDescription

CONFIG_FIELDS = {
    "study", "strategy", "encoder", "llm", "budget_flops", "seed", "precision", "pretrain_flops", "encoder_params",
    "asr_decoder_params", "llm_params", "train_hours", "test_digest", "scoring", "flop_convention",
}  # fmt: skip
"""Fields of a run that are sent beside its curve: names, numbers and digests."""


class TrackedRun(Protocol):
    """A run that a tracker has begun to write."""

    def log(self, point: Mapping[str, object]) -> None:
        """Write a point of the curve: `flops`, the stage, and what was measured there."""

    def finish(self, *, ok: bool) -> None:
        """Write what is left. An error of the tracker is logged and not raised."""


def display_name(run: RunDescription) -> str:
    """The name of a run in a list of runs."""
    return f"{run.strategy} {run.llm} {run.budget_flops:.3g} s{run.seed}"
