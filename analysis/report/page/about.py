"""The end of a report: what its numbers are, where they come from, and every run."""

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any

from analysis.curves.traces import models_text
from analysis.report.findings import Findings
from analysis.report.page.html import Html, tag
from analysis.report.page.words import number
from analysis.tables.points import SECONDS_AN_HOUR
from analysis.tables.table import Row

MOST_ROWS = 1000
"""Beyond this a page is slow to open; the table of runs itself has them all."""
SHORT_KEY = 8
"""Enough to tell the runs of a study apart; the whole key shows on hovering."""

DEFINITIONS = {
    "CER": "Character errors (substitutions, deletions, insertions) over reference characters after normalisation, "
    "all test utterances together: a fraction, above 1 where a model inserts more than there is.",
    "Charged FLOPs": "The budget and every axis here: forward and backward operations of the models at each "
    "utterance's real length, logits where there are targets, without recomputation and without credit for caches. "
    "The same whatever the batching, the device or the number of processes.",
    "Executed FLOPs": "What ran, padding and all; equal to what an operation counter sees.",
    "Spent FLOPs": "The bill of the study: work that several runs share is counted once, so it is less than the sum "
    "over the runs. The commands plan and status show it.",
    "Pretraining": "Inherited with the base models: reported below, never part of a budget.",
    "Interval of the curve": "Where the law itself lies, with probability 90 % if it has the right form.",
    "Interval of a new run": "Where one more run would score: the interval of the curve and the scatter of runs.",
    "Unique hours": "Audio heard at least once; passes count how often, on average.",
}
"""The words of a report, each with its meaning."""


def definitions(findings: Findings) -> Html:
    """What the numbers are, and where they come from."""
    rows = findings.table.rows
    charged, executed = _total(rows, "flops"), _total(rows, "executed_flops")
    facts = (
        ("Runs", f"{len(rows)}, of which {sum(trace_runs(findings))} in the fits"),
        ("FLOPs of all runs", f"{number(charged)} charged, {number(executed)} executed; shared work counted in each"),
        ("FLOP convention", _distinct(row.get("flop_convention") for row in rows)),
        ("Base models", _models(rows)),
        ("Training audio", _distinct(_train_hours(row) for row in rows)),
        ("Test set", _distinct(_test(row) for row in rows)),
        ("Precision", _distinct(row.get("precision") for row in rows)),
        ("Trained with", _distinct(_provenance(row) for row in rows)),
        ("Format of the runs", _distinct(row.get("schema") for row in rows)),
        ("Loss of the fits", findings.curves.loss),
        ("SHA-256 of runs.jsonl", findings.curves.source_sha256),
        ("Written by", f"asr-scaling {version('asr-scaling')}"),
    )
    return tag(
        "section",
        tag("h2", "What the numbers are"),
        _described(DEFINITIONS.items()),
        tag("h2", "Where they come from"),
        _described((name, text) for name, text in facts if text),
    )


def runs(findings: Findings) -> Html:
    """Every run, as a table that sorts."""
    rows = findings.table.rows
    columns = [column for column in _COLUMNS if any(_value(row, column) not in (None, "") for row in rows)]
    heads = (tag("th", title, class_="number" if numeric else None) for title, _, numeric in columns)
    body = (tag("tr", *(_cell(row, column) for column in columns)) for row in rows[:MOST_ROWS])
    rest = len(rows) - MOST_ROWS
    return tag(
        "section",
        tag("h2", "All runs"),
        tag("p", f"The first {MOST_ROWS}; {rest} more are in runs.jsonl.") if rest > 0 else None,
        tag(
            "div",
            tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *body), class_="sortable"),
            class_="wide",
        ),
        class_="runs",
    )


def trace_runs(findings: Findings) -> list[int]:
    """How many runs stand in each curve's points."""
    return [sum(point.mean.runs for point in trace.points if not point.set_aside) for trace in findings.traces]


_COLUMNS: tuple[tuple[str, str, bool], ...] = (
    ("strategy", "strategy", False),
    ("encoder", "encoder", False),
    ("LLM", "llm", False),
    ("seed", "seed", True),
    ("budget", "budget_flops", True),
    ("charged", "flops", True),
    ("executed", "executed_flops", True),
    ("CER", "cer", True),
    ("WER", "wer", True),
    ("dev CER", "dev_cer", True),
    ("errors", "errors", True),
    ("characters", "ref_chars", True),
    ("unique h", "unique_hours", True),
    ("passes", "epochs", True),
    ("minutes", "minutes", True),
    ("status", "status", False),
    ("cause", "cause", False),
    ("key", "key", False),
)
"""Heading, field, and whether it holds a number."""


def _cell(row: Row, column: tuple[str, str, bool]) -> Html:
    _, field, numeric = column
    value = _value(row, column)
    if not numeric:
        text = "" if value is None else str(value)
        if field == "key":
            return tag("td", tag("code", text[:SHORT_KEY]), title=text)
        return tag("td", text, class_="words" if field == "cause" else None)
    known = _as_number(value)
    if known is None:
        return tag("td", "", class_="number", data_value="")
    exact = field in ("seed", "errors", "ref_chars")
    return tag("td", f"{known:.0f}" if exact else number(known), class_="number", data_value=f"{known:.8g}")


def _value(row: Row, column: tuple[str, str, bool]) -> Any:
    field = column[1]
    if field == "unique_hours":
        seconds = _as_number(row.get("unique_audio_seconds"))
        return None if seconds is None else seconds / SECONDS_AN_HOUR
    if field == "minutes":
        seconds = _as_number(row.get("seconds"))
        return None if seconds is None else seconds / 60.0
    return row.get(field)


def _as_number(value: object) -> float | None:
    try:
        return None if value is None or value == "" else float(str(value))
    except ValueError:
        return None


def _described(pairs: Iterable[tuple[str, str]]) -> Html:
    return tag("dl", *(part for name, text in pairs for part in (tag("dt", name), tag("dd", text))))


def _distinct(values: Iterable[object]) -> str:
    return "; ".join(dict.fromkeys(str(value) for value in values if value not in (None, "")))


def _models(rows: Sequence[Row]) -> str:
    return _distinct(_model(row) for row in rows)


def _model(row: Row) -> str:
    parts = [
        f"{name} {number(float(row[field]) / 1e6)} M"
        for name, field in (("encoder", "encoder_params"), ("its decoder", "asr_decoder_params"), ("LLM", "llm_params"))
        if row.get(field) is not None
    ]
    pretraining = row.get("pretrain_flops")
    known = "pretraining not known" if pretraining is None else f"pretraining {number(float(pretraining))} FLOPs"
    name = models_text(row.get("encoder"), row.get("llm"))
    return f"{name} ({', '.join([*parts, known])})" if parts else ""


def _train_hours(row: Row) -> str:
    hours = _as_number(row.get("train_hours"))
    return "" if hours is None else f"{number(hours)} hours"


def _test(row: Row) -> str:
    parts = [f"{row['n_utterances']} utterances" if row.get("n_utterances") else ""]
    parts += [f"{row['ref_chars']} characters" if row.get("ref_chars") else ""]
    parts += [f"scored as {row['scoring']}" if row.get("scoring") else ""]
    parts += [f"digest {row['test_digest']}" if row.get("test_digest") else ""]
    return ", ".join(part for part in parts if part)


def _provenance(row: Row) -> str:
    made = row.get("provenance")
    return ", ".join(f"{name} {value}" for name, value in made.items()) if isinstance(made, dict) else ""


def _total(rows: Sequence[Row], field: str) -> float:
    return sum(value for row in rows if (value := _as_number(row.get(field))) is not None)
