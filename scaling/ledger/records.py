"""What lies on disk about a study, checked where it is read: any trainer may have written a result, anybody a table."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from scaling.errors import InputError
from scaling.ledger.ledger import Ledger
from scaling.spec import StageNode, node_from_json
from scaling.system.json_files import read_json_lines
from scaling.system.json_schema import ANY, amount, anything, check_shape, count, inside, name, nothing, positive, text

Row = dict[str, Any]

RUNS_FILE = "runs.jsonl"
"""The table of a study's finished runs, one row each, in the study's folder."""


def is_usable(row: Mapping[str, object]) -> bool:
    """Whether a run counts as a result: its status is "ok", or its table has no status."""
    return row.get("status") in ("ok", None, "")


SPENT = {"flops": amount, "executed_flops": amount, "seconds": amount}
SCORES = {"cer": amount, "errors": count, "ref_chars": positive, "n_utterances": count}
RESULT = {
    "status": text,
    **SPENT,
    "steps": count,
    "audio_seconds": amount,
    "unique_audio_seconds": amount,
    "spent": SPENT,
    "loss": anything,
    "checkpoint": (nothing, inside),
    "utterances": (nothing, inside),
    "dev": (nothing, SCORES),
    "test": (nothing, {ANY: SCORES}),
    "provenance": anything,
}
"""`result.json` of a node."""

RUN = {
    "key": name,
    "study": text,
    "strategy": text,
    "encoder": text,
    "llm": text,
    "budget_flops": positive,
    "seed": count,
    "train_hours": positive,
    "stages": [{"name": text, "objective": text, "trains": {ANY: amount}, "node": name}],
    "nodes": [name],
}
"""What is known about a run beforehand."""

PLAN = {
    "study": text,
    "session": text,
    "ledger": text,
    "threads": positive,
    "checkpoint_seconds": positive,
    "tracker": text,
    "nodes": [name],
    "work": {ANY: {"flops": amount, "start_flops": amount, "needs": [name]}},
    "sources": {ANY: {"path": (nothing, text), "hours": (nothing, positive)}},
    "runs": [RUN],
}
"""`plan.json` of a study."""

ROW = {**RUN, "status": text, "cer": (nothing, amount), "dev_cer": (nothing, amount)}
"""A line of `runs.jsonl`."""


def node_result(ledger: Ledger, key: str) -> Row | None:
    """What came of node `key`; None while it is not done. Raises InputError where that is no result."""
    result = ledger.result(key)
    if result is not None:
        check_shape(result, RESULT, f"{ledger.folder(key) / 'result.json'}")
    return result


def node_of(ledger: Ledger, key: str) -> StageNode:
    """What node `key` is. Raises InputError where the ledger holds no such node of this version."""
    stage = ledger.stage(key)
    try:
        return node_from_json(stage["node"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        place = ledger.folder(key) / "stage.json"
        raise InputError(f"{place}: not a stage of this version ({type(error).__name__}: {error})") from None


def check_plan(plan: Row, path: Path) -> None:
    """Raise InputError where the content of `path` is no plan that can be followed."""
    check_shape(plan, PLAN, str(path))
    check_shape({"evaluation_flops": plan.get("evaluation_flops", {})}, {"evaluation_flops": {ANY: count}}, str(path))
    known = set(plan["nodes"])
    for key in _used(plan):
        if key not in known or key not in plan["work"]:
            raise InputError(f"{path}: node {key!r} is used by a run and not among `nodes` and `work`")


def read_rows(path: Path) -> list[Row]:
    """The rows of a study's table. Raises InputError where one is none."""
    rows = list(read_json_lines(path))
    for line, row in rows:
        check_shape(row, ROW, f"{path}:{line}")
    return [row for _, row in rows]


def _used(plan: Row) -> Iterable[str]:
    for run in plan["runs"]:
        yield from run["nodes"]
        yield from (stage["node"] for stage in run["stages"])
    yield from plan["nodes"]
