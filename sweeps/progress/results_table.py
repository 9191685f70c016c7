"""Ledger -> DIR/runs.jsonl and DIR/utterances: what came of each finished run.

But for fields of time (`seconds`) and `provenance`, the table is a function of the study alone, whatever was killed,
resumed or shared on the way. Results are immutable, so each is read once.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from scaling.ledger import records
from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import PlanFile
from scaling.ledger.records import RUNS_FILE, Row, node_result
from scaling.system.atomic_files import write_text_atomically

UTTERANCES = "utterances"

COUNTS = ("errors", "ref_chars", "word_errors", "ref_words", "n_utterances")


class Collector:
    """Writes the table of one study, as often as asked, reading only what is new."""

    def __init__(self, plan_file: PlanFile) -> None:
        self._plan_file = plan_file
        self._results: dict[str, Row] = {}
        self._written: list[str] | None = None

    def collect(self) -> list[Row]:
        """Write `runs.jsonl` and each finished run's utterances; the rows, ordered as the study enumerates them."""
        rows = list(self._rows())
        keys = [f"{row['key']} {row['status']}" for row in rows]
        if keys != self._written:
            for row in rows:
                self._copy_utterances(row)
            lines = [json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows]
            write_text_atomically(self._plan_file.folder / RUNS_FILE, "".join(lines))
            self._written = keys
        return rows

    def _rows(self) -> Iterator[Row]:
        for run in self._plan_file.runs:
            results = [self._result(key) for key in run["nodes"]]
            finished = [result for result in results if result is not None]
            if len(finished) == len(results):
                yield finished_row(run, dict(zip(run["nodes"], finished, strict=True)))
            elif (diverged := _diverged(self._plan_file.ledger, run["nodes"])) is not None:
                yield diverged_row(run, *diverged)

    def _result(self, key: str) -> Row | None:
        if key not in self._results and (result := node_result(self._plan_file.ledger, key)) is not None:
            self._results[key] = result
        return self._results.get(key)

    def _copy_utterances(self, row: Row) -> None:
        written = self._results[row["nodes"][-1]]["utterances"] if row["status"] == "ok" else None
        copy = self._plan_file.folder / UTTERANCES / f"{row['key']}.jsonl"
        if written is not None and not copy.exists():
            copy.parent.mkdir(exist_ok=True)
            write_text_atomically(copy, (self._plan_file.ledger.folder(row["nodes"][-1]) / written).read_text("utf-8"))


def finished_row(run: Row, results: dict[str, Row]) -> Row:
    """The row of a finished run from what was known beforehand and the results of its nodes, in order.

    `cer` and `wer` count the utterances of all test sets together. `audio_seconds` is heard, `unique_audio_seconds`
    heard at least once. `flops` is charged to the run alone; shared nodes' work is counted in every run that passes
    through. `executed_flops` is what ran as if nothing were kept, `cache_credited_flops` with each output of a frozen
    encoder counted once (see `scaling.cost.step_costs`); None where a version that did not count it trained a stage.
    """
    stages = [_stage(stage, results[stage["node"]]) for stage in run["stages"]]
    end = results[run["nodes"][-1]]
    heard = sum(stage["audio_seconds"] for stage in stages)
    tests = end["test"]
    counts = {field: sum(test[field] for test in tests.values()) for field in _counted(tests.values())}
    return {
        **run,
        "status": "ok",
        "flops": sum(stage["flops"] for stage in stages),
        "executed_flops": sum(stage["executed_flops"] for stage in stages),
        "cache_credited_flops": _sum_if_known(stage["cache_credited_flops"] for stage in stages),
        "stages": stages,
        "audio_seconds": heard,
        "unique_audio_seconds": end["unique_audio_seconds"],
        "epochs": heard / (3600 * run["train_hours"]),
        "seconds": sum(stage["seconds"] for stage in stages),
        "cer": counts["errors"] / counts["ref_chars"],
        **({"wer": counts["word_errors"] / counts["ref_words"]} if "ref_words" in counts else {}),
        "dev_cer": end["dev"]["cer"],
        **counts,
        "test": tests,
        "spent": _total(result["spent"] for result in results.values()),
        "provenance": end["provenance"],
    }


def diverged_row(run: Row, node: str, cause: str) -> Row:
    """The row of a run that diverged: it has a cause and no error rate, so no fit takes it silently."""
    return {**run, "status": "diverged", "cer": None, "dev_cer": None, "diverged_node": node, "cause": cause}


def read_rows(folder: Path) -> list[Row]:
    """The rows of a study's table as last written; none where there is no table yet."""
    path = folder / RUNS_FILE
    return records.read_rows(path) if path.exists() else []


def _counted(tests: Collection[Row]) -> list[str]:
    """What every test set counts: words only in results that have them, as those of the first versions have not."""
    return [field for field in COUNTS if all(field in test for test in tests)]


def _stage(stage: Row, result: Row) -> Row:
    measured = ("flops", "executed_flops", "steps", "audio_seconds", "seconds")
    credited = result.get("cache_credited_flops")
    fields = {field: result[field] for field in measured}
    return {**stage, **fields, "cache_credited_flops": credited, "loss": result["loss"]}


def _sum_if_known(values: Iterator[int | None]) -> int | None:
    known = list(values)
    return None if None in known else sum(value for value in known if value is not None)


def _total(spent: Iterator[Row]) -> Row:
    entries = list(spent)
    return {field: sum(entry[field] for entry in entries) for field in ("flops", "executed_flops", "seconds")}


def _diverged(ledger: Ledger, nodes: Sequence[str]) -> tuple[str, str] | None:
    """The first node of a run whose last attempt diverged, and why."""
    for key in nodes:
        attempts = [] if ledger.done(key) else ledger.attempts(key)
        failure = attempts[-1].failure() if attempts else None
        if failure is not None and failure["kind"] == "diverged":
            return key, str(failure["cause"])
    return None
