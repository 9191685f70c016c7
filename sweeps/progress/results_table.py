"""Ledger -> DIR/runs.jsonl and DIR/utterances: what came of each finished run.

Apart from fields of time (`seconds`, `finished`) and `provenance`, the table is a function of the study alone, whatever
was killed, resumed or shared on the way. Results never change, so each is read once.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import accumulate
from pathlib import Path

from scaling.errors import InputError
from scaling.keys import digest
from scaling.ledger.hearing import at, onset
from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import PlanFile, read_plan_file
from scaling.ledger.records import RUNS_FILE, NodeResult, RunDescription, RunRow, Scores, Spent
from scaling.system.atomic_files import write_text_atomically
from scaling.system.console import log_once
from scaling.system.contained_files import MOST_BYTES, InnerFiles, read_regular
from scaling.system.json_files import read_record_lines

UTTERANCES = "utterances"

COUNTS = ("errors", "ref_chars", "word_errors", "ref_words", "n_utterances")
"""Fields of `Scores` that are summed over test sets."""

TOTALS = ("flops", "executed_flops", "audio_seconds", "seconds")
"""Fields of `NodeResult` that are summed over the stages of a run."""

OF_STAGE = {*TOTALS, "steps", "cache_credited_flops", "loss"}
"""Fields of `NodeResult` that a row says of each stage."""


class Collector:
    """Writes the table of one study, as often as asked, reading only what is new."""

    def __init__(self, plan_file: PlanFile) -> None:
        self.damaged: dict[str, str] = {}
        """Finished nodes whose results cannot be used, and why; their runs have no rows."""
        self._plan_file = plan_file
        self._results: dict[str, NodeResult] = {}
        self._written: list[str] | None = None

    def collect(self) -> list[RunRow]:
        """Write `runs.jsonl` and each finished run's utterances; the rows, ordered as the study enumerates them.

        Where another invocation has written a plan since, the table is of that plan: whoever writes last, even a
        process that was stopped for a day on the way, looks afterwards whether the plan is still the same.
        """
        rows = list(self._rows())
        while self._write(rows) and not self._is_present():
            self._plan_file = read_plan_file(self._plan_file.folder)
            rows = list(self._rows())
        return rows

    def _write(self, rows: Sequence[RunRow]) -> bool:
        """Write the table where it has changed, and the plan is the present one; whether it had changed."""
        keys = [f"{row.key} {row.status}" for row in rows]
        if keys == self._written:
            return False
        if self._is_present():
            for row in rows:
                self._copy_utterances(row)
            lines = [json.dumps(row.as_json(), ensure_ascii=False, allow_nan=False) + "\n" for row in rows]
            write_text_atomically(self._plan_file.folder / RUNS_FILE, "".join(lines))
            self._written = keys
        return True

    def _is_present(self) -> bool:
        """Whether no other invocation has written a plan since."""
        return f'"session": "{self._plan_file.session}"'.encode() in read_regular(self._plan_file.path)

    def _rows(self) -> Iterator[RunRow]:
        for run in self._plan_file.runs:
            with _noted(self.damaged, run.nodes[-1]):
                if (row := self._row(run)) is not None:
                    yield row

    def _row(self, run: RunDescription) -> RunRow | None:
        """The row of a run that is finished or diverged. Raises InputError where its last result has no scores."""
        results = {key: result for key in run.nodes if (result := self._result(key)) is not None}
        if len(results) == len(run.nodes):
            return finished_row(run, results)
        diverged = _diverged(self._plan_file.ledger, run.nodes)
        return None if diverged is None else diverged_row(run, *diverged)

    def _result(self, key: str) -> NodeResult | None:
        if key not in self._results and key not in self.damaged:
            with _noted(self.damaged, key):
                if (result := self._plan_file.ledger.result(key)) is not None:
                    self._results[key] = result
        return self._results.get(key)

    def _copy_utterances(self, row: RunRow) -> None:
        node = row.nodes[-1]
        written = self._results[node].utterances if row.status == "ok" else None
        copy = self._plan_file.folder / UTTERANCES / f"{row.key}.jsonl"
        if written is None or copy.exists():
            return
        try:
            InnerFiles(self._plan_file.folder).make_folder(UTTERANCES)
            text = self._plan_file.ledger.files.read(f"stages/{node}/{written}", MOST_BYTES)
        except InputError as error:
            log_once(f"no utterances of run {row.key}: {error}")
            return
        write_text_atomically(copy, text.decode("utf-8", errors="replace"))


@contextmanager
def _noted(damaged: dict[str, str], key: str) -> Iterator[None]:
    """Within this context an InputError is noted as damage of node `key`, and not raised."""
    try:
        yield
    except InputError as error:
        damaged[key] = str(error)


def finished_row(run: RunDescription, results: Mapping[str, NodeResult]) -> RunRow:
    """A finished run's row, from its nodes' results in order. Raises InputError where the last one has no scores."""
    end, ends = results[run.nodes[-1]], [results[stage.node] for stage in run.stages]
    if end.test is None or end.dev is None:
        raise InputError(f"node {run.nodes[-1]} ends run {run.key}, and its result has no scores of dev and test sets")
    counts = _total_counts(end.test.values())
    totals = {field: sum(getattr(result, field) for result in ends) for field in TOTALS}
    credited = [result.cache_credited_flops for result in ends]
    spent = {field: sum(getattr(result.spent, field) for result in results.values()) for field in Spent.model_fields}
    return RunRow.model_validate(
        {
            **run.as_json(),
            "status": "ok",
            **totals,
            "cache_credited_flops": sum(filter(None, credited)) if None not in credited else None,
            "stages": [
                stage.model_copy(update=results[stage.node].model_dump(include=OF_STAGE)) for stage in run.stages
            ],
            "unique_audio_seconds": end.unique_audio_seconds,
            "epochs": totals["audio_seconds"] / (3600 * run.train_hours),
            "cer": counts["errors"] / counts["ref_chars"],
            **({"wer": counts["word_errors"] / counts["ref_words"]} if "ref_words" in counts else {}),
            "dev_cer": end.dev.cer,
            **counts,
            **_scored_by(run, end.test.values()),
            "test": end.test,
            **_hearing(ends),
            "spent": spent,
            "finished": end.finished,
            "provenance": end.provenance,
        }
    )


def _hearing(ends: Sequence[NodeResult]) -> dict[str, object]:
    """Whether a run hears at its end, and since when; nothing where that was not measured. `ends` end its stages."""
    hearing = ends[-1].hearing
    if hearing is None:
        return {}
    before = list(accumulate((result.flops for result in ends[:-1]), initial=0))
    looks = [look for flops, result in zip(before, ends, strict=True) for look in at(result.hearing_looks or [], flops)]
    deaf_flops, onset_flops = onset([*looks, *at([hearing], before[-1])])
    return {
        **hearing.columns(),
        "hearing_resampled": hearing.resampled,
        "hears": hearing.hears,
        "hearing_onset_flops": onset_flops,
        "deaf_flops": deaf_flops,
    }


def diverged_row(run: RunDescription, node: str, cause: str) -> RunRow:
    """The row of a run that diverged: it has a cause and no error rate, so no fit takes it silently."""
    fields = {"status": "diverged", "cer": None, "dev_cer": None, "diverged_node": node, "cause": cause}
    return RunRow.model_validate(run.as_json() | fields)


def read_rows(folder: Path) -> list[RunRow]:
    """A study's table as last written; empty where there is none yet. Raises InputError where a line is no row."""
    path = folder / RUNS_FILE
    if os.path.lexists(path) and not path.is_file():
        raise InputError(f"{path}: is no file; expected a table of runs")
    return read_record_lines(RunRow, path) if path.exists() else []


def _scored_by(run: RunDescription, tests: Iterable[Scores]) -> dict[str, object]:
    """The version of the scoring, and a digest of the test that knows it. Results of the first version have neither."""
    version = max(test.scoring_version or 1 for test in tests)
    if version == 1:
        return {}
    return {"scoring_version": version, "test_digest": run.test_digest and digest((run.test_digest, version))}


def _total_counts(tests: Iterable[Scores]) -> dict[str, float]:
    """The counts of all test sets together; words only where every set counts them (early results do not)."""
    counts = {field: [getattr(test, field) for test in tests] for field in COUNTS}
    return {field: sum(values) for field, values in counts.items() if None not in values}


def _diverged(ledger: Ledger, nodes: Sequence[str]) -> tuple[str, str] | None:
    """The first node of a run whose last attempt diverged, and why."""
    for key in nodes:
        with suppress(InputError):  # the survey says what is wrong there
            attempt = ledger.unfinished_attempt(key)
            if attempt and (failure := attempt.failure()) and failure.kind == "diverged":
                return key, failure.cause
    return None
