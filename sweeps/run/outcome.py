"""What an invocation of `run` left behind: as a value, as a document and as text."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scaling.ledger.records import RUNS_FILE, RunRow
from scaling.system.console import one_line
from scaling.system.text_table import text_table
from sweeps.progress.status import State, Survey
from sweeps.progress.status_text import counted_by_state, counts_by_state
from sweeps.progress.unusable import UnusableRun


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepOutcome:
    """What an invocation left: the table's rows, the state of every node, the signal that stopped it, if any.

    `detached` says that workers were left to go on alone, `unusable` which finished runs have lost their weights.
    """

    rows: list[RunRow]
    survey: Survey
    stopped_by: int | None
    detached: bool = False
    unusable: Sequence[UnusableRun] = ()

    @property
    def exit_code(self) -> int:
        """0 when every run is done or was left alone, 1 when one failed, 128 + the signal's number when stopped."""
        if self.stopped_by is not None:
            return 128 + self.stopped_by
        return 0 if self.detached or all(state is State.DONE for state in self.survey.runs.values()) else 1


def outcome_document(outcome: SweepOutcome, folder: Path) -> dict[str, object]:
    """What `run --json` prints."""
    nodes = outcome.survey.nodes
    return {
        "schema": "asr-scaling/outcome-1",
        "folder": str(folder),
        "table": str(folder / RUNS_FILE),
        "runs": counts_by_state(outcome.survey.runs.values()),
        "stopped_by": outcome.stopped_by,
        "failed": [{"node": key, "cause": nodes[key].cause} for key in outcome.survey.in_state(State.FAILED)],
        "blocked": [{"node": key, "cause": nodes[key].cause} for key in outcome.survey.in_state(State.BLOCKED)],
        "unusable": [{"run": lost.run, "cause": lost.cause} for lost in outcome.unusable],
        "rows": [row.as_json() for row in outcome.rows],
    }


def outcome_text(outcome: SweepOutcome, folder: Path) -> str:
    """The table of runs for people."""
    rows = []
    for row in outcome.rows:
        errors = [row.status if cer is None else f"{cer:.4f}" for cer in (row.cer, row.dev_cer)]
        flops = row.budget_flops if row.flops is None else row.flops
        rows.append([row.strategy, f"{row.encoder} + {row.llm}", str(row.seed), f"{flops:.3g}", *errors])
    table = text_table(["strategy", "encoder + LLM", "seed", "FLOPs", "CER", "dev CER"], rows)
    runs = counted_by_state(counts_by_state(outcome.survey.runs.values()))
    return f"{table}\n\n{one_line(f'runs: {runs}; table: {folder / RUNS_FILE}')}"
