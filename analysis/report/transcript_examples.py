"""Examples of transcripts: what the runs of each strategy wrote for the same utterances, budget by budget.

They are of the study's own test texts, which may be private, so a report has none unless it is asked for them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.report.findings import Findings
from analysis.tables.table import Row
from scaling.errors import InputError
from scaling.system.json_files import read_json_lines

UTTERANCES = "utterances"
"""The folder of the transcripts of each run, in that of the study."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """What one run wrote, and the share of the reference's characters that are wrong (`cer`)."""

    strategy: str
    budget: float
    text: str
    cer: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """An utterance of a test set: its reference, and the hypotheses by strategy and rising budget."""

    name: str
    reference: str
    hypotheses: tuple[Hypothesis, ...]


def examples_of(findings: Findings, folder: Path, count: int) -> tuple[Example, ...]:
    """`count` utterances, evenly spread over the test sets, as written by the pair of models of each strategy with the
    lowest error at the largest budget, with its first seed.

    Raises InputError where the study has no transcripts, or one of them is damaged.
    """
    if count < 1:
        return ()
    runs = [row for strategy in findings.strategies for row in _runs(findings, strategy)]
    written = {str(row["key"]): _transcripts(folder, str(row["key"])) for row in runs}
    written = {key: texts for key, texts in written.items() if texts}
    if not written:
        raise InputError(f"--examples: {folder / UTTERANCES}: no transcripts of these runs; expected KEY.jsonl in it")
    common = [name for name in next(iter(written.values())) if all(name in texts for texts in written.values())]
    chosen = [common[k * len(common) // count] for k in range(min(count, len(common)))]
    return tuple(_example(name, [row for row in runs if str(row["key"]) in written], written) for name in chosen)


def _runs(findings: Findings, strategy: str) -> list[Row]:
    """The runs of a strategy whose transcripts are shown, by rising budget."""
    best = min(findings.of(strategy), key=lambda trace: trace.points[-1].mean.cer)
    rows = [findings.table.rows[min(point.mean.rows)] for point in best.points]
    return [row for row in rows if row.get("key")]


def _transcripts(folder: Path, key: str) -> dict[str, Mapping[str, Any]]:
    """The lines of a run's transcripts by the name of the utterance; none where there is no file."""
    path = folder / UTTERANCES / f"{key}.jsonl"
    if Path(key).name != key or not path.is_file():
        return {}
    lines: dict[str, Mapping[str, Any]] = {}
    for number, line in read_json_lines(path):
        if not isinstance(line.get("ref"), str) or not isinstance(line.get("hyp"), str):
            raise InputError(f"{path}:{number}: expected `ref` and `hyp` as texts")
        lines[f"{line.get('test', 'test')} {line.get('id', number)}"] = line
    return lines


def _example(name: str, runs: list[Row], written: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Example:
    lines = [(row, written[str(row["key"])][name]) for row in runs]
    return Example(
        name=name,
        reference=lines[0][1]["ref"],
        hypotheses=tuple(
            Hypothesis(
                strategy=str(row["strategy"]),
                budget=float(row.get("budget_flops") or row["flops"]),
                text=line["hyp"],
                cer=float(line.get("errors", 0)) / max(float(line.get("ref_chars", 1)), 1.0),
            )
            for row, line in lines
        ),
    )
