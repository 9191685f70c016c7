"""What trackers and schedulers say of a run: whether it finished, and so counts."""

from typing import Any

DONE = "ok"
"""The status of a run that counts."""

FINISHED = frozenset(
    ("ok", "finished", "done", "success", "succeeded", "successful", "complete", "completed", "exited")
)
UNFINISHED = frozenset((
    "crashed", "failed", "failure", "error", "running", "killed", "preempted", "preempting", "pending", "queued",
    "canceled", "cancelled", "timeout", "aborted", "stopped", "diverged", "interrupted", "terminated", "oom", "nan",
))  # fmt: skip
"""States of Weights & Biases, TensorBoard, Slurm and people, in lower case."""


def run_state(value: Any) -> str | None:
    """`DONE` for a run that finished, its own word for one that did not; None for what is no state of a run.

    >>> run_state("Finished"), run_state("CRASHED"), run_state("STATUS_RUNNING"), run_state("Bavaria")
    ('ok', 'crashed', 'running', None)
    """
    word = str(value).strip().lower().removeprefix("status_")
    return DONE if word in FINISHED else word if word in UNFINISHED else None
