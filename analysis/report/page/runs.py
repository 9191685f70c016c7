"""Values for the end of the page: where its numbers come from, and the table of every run."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version

from analysis import formatting
from analysis.curves.traces import models_text
from analysis.report.findings import Findings
from analysis.tables.table import Row
from analysis.tables.usable_rows import ERROR
from scaling.cost.amounts import SECONDS_AN_HOUR

MOST_ROWS = 1000
"""A page with more rows than this is slow to open; runs.jsonl has them all."""
number = partial(formatting.number, digits=3, typeset=True)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of runs: title, and field, divided by `unit`; to three digits, or to the unit where `exact`."""

    title: str
    field: str
    numeric: bool = True
    exact: bool = False
    unit: float = 1.0

    def value(self, row: Row) -> float | str | None:
        """What a row holds: a number or None in a column of numbers, else a text."""
        if self.numeric:
            amount = _as_number(row.get(self.field))
            return None if amount is None else amount / self.unit
        text = row.get(self.field)
        return {True: "yes", False: "no", None: ""}[text] if text is None or isinstance(text, bool) else str(text)


COLUMNS = (
    Column("strategy", "strategy", numeric=False),
    Column("encoder", "encoder", numeric=False),
    Column("LLM", "llm", numeric=False),
    Column("seed", "seed", exact=True),
    Column("budget", "budget_flops"),
    Column("charged", "flops"),
    Column("executed", "executed_flops"),
    Column("CER", "cer"),
    Column("WER", "wer"),
    Column("dev CER", "dev_cer"),
    Column("hears", "hears", numeric=False),
    Column("hearing, nats a token", "hearing_nats"),
    Column("at least", "hearing_low"),
    Column("at most", "hearing_high"),
    Column("hears from", "hearing_onset_flops"),
    Column("errors", "errors", exact=True),
    Column("characters", "ref_chars", exact=True),
    Column("unique h", "unique_audio_seconds", unit=SECONDS_AN_HOUR),
    Column("passes", "epochs"),
    Column("minutes", "seconds", unit=60.0),
    Column("status", "status", numeric=False),
    Column("cause", "cause", numeric=False),
    Column("key", "key", numeric=False),
)
"""All columns of the table of runs, in their order."""
ALWAYS_SHOWN = ("strategy", "budget_flops", "flops", "cer", "key")
"""Fields whose columns are shown even where all runs hold the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTable:
    """The rows shown, the columns that any run fills in, and how many rows are not shown. `same` are columns in which
    all runs hold the same, with what that is: the page says it once, and their cells are in the download alone.
    """

    columns: list[Column]
    same: dict[Column, str]
    rows: Sequence[Row]
    hidden_rows: int


def run_table(rows: Sequence[Row], error: str = "CER", taken: Collection[str] = ()) -> RunTable:
    """The table of runs, at most `MOST_ROWS`, without the columns `taken`, whose values other columns show already."""
    columns = [
        replace(column, title=error) if column.field == ERROR else column
        for column in COLUMNS
        if column.field not in taken and any(row.get(column.field) not in (None, "") for row in rows)
    ]
    same = {
        column: _shown(column, rows[0])
        for column in columns
        if len(rows) > 1 and column.field not in ALWAYS_SHOWN and len({column.value(row) for row in rows}) == 1
    }
    return RunTable(columns=columns, same=same, rows=rows[:MOST_ROWS], hidden_rows=len(rows) - MOST_ROWS)


def _shown(column: Column, row: Row) -> str:
    value = column.value(row)
    return value if isinstance(value, str) else f"{value:.0f}" if column.exact else number(value)


def simulated(rows: Iterable[Row]) -> bool:
    """Whether runs come from the simulator: their numbers must never pass for measurements."""
    return any(isinstance(row.get("provenance"), dict) and row["provenance"].get("simulated") for row in rows)


def facts(findings: Findings) -> list[tuple[str, str]]:
    """Where the numbers of a study come from; what the runs do not say is left out."""
    rows = findings.table.rows
    charged, executed = _total(rows, "flops"), _total(rows, "executed_flops")
    fitted = sum(point.mean.runs for trace in findings.traces for point in trace.points if not point.set_aside)
    facts = (
        ("Runs", f"{len(rows)}, of which {fitted} in the fits"),
        ("FLOPs of all runs", f"{number(charged)} charged, {number(executed)} executed; shared work counted in each"),
        ("FLOP convention", _distinct(row.get("flop_convention") for row in rows)),
        ("Base models", _distinct(_model(row) for row in rows)),
        ("Training audio", _distinct(_train_hours(row) for row in rows)),
        ("Test set", _distinct(_test(row) for row in rows)),
        ("Precision", _distinct(row.get("precision") for row in rows)),
        ("Trained with", _distinct(_provenance(row) for row in rows)),
        ("Format of the runs", _distinct(row.get("schema") for row in rows)),
        ("Loss of the fits", findings.curves.loss),
        ("SHA-256 of runs.jsonl", findings.curves.source_sha256),
        ("Written by", f"asr-scaling {version('asr-scaling')}"),
    )
    return [(name, text) for name, text in facts if text]


def _as_number(value: object) -> float | None:
    try:
        return None if value is None or value == "" else float(str(value))
    except ValueError:
        return None


def _distinct(values: Iterable[object]) -> str:
    return "; ".join(dict.fromkeys(str(value) for value in values if value not in (None, "")))


def _model(row: Row) -> str:
    parts = [
        f"{name} {number(float(row[field]) / 1e6)} M"
        for name, field in (("encoder", "encoder_params"), ("its decoder", "asr_decoder_params"), ("LLM", "llm_params"))
        if row.get(field) is not None
    ]
    pretraining = row.get("pretrain_flops")
    inherited = "pretraining not known" if pretraining is None else f"pretraining {number(float(pretraining))} FLOPs"
    name = models_text(row.get("encoder"), row.get("llm"))
    return f"{name} ({', '.join([*parts, inherited])})" if parts else ""


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
    provenance = row.get("provenance")
    return ", ".join(f"{name} {value}" for name, value in provenance.items()) if isinstance(provenance, dict) else ""


def _total(rows: Sequence[Row], field: str) -> float:
    return sum(value for row in rows if (value := _as_number(row.get(field))) is not None)
