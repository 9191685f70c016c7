"""The page and the figures of a table call its error what the table calls it; CER only where it is one."""

import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from pages import page_without_figures

import analysis
from analysis.report.figures.canvas import PAGE
from analysis.report.figures.error_by_flops import error_by_flops
from analysis.report.findings import findings_of
from analysis.report.page.chart_data import chart
from analysis.report.page.runs import run_table

BUDGETS = np.geomspace(1e17, 1e20, 6).tolist()


def table(tmp_path, column, scale):
    file = tmp_path / "runs.csv"
    lines = [
        f"{name},{c!r},{scale * k * (0.04 + 0.36 * (c / 1e17) ** -0.3)!r}"
        for name, k in (("a", 1.0), ("b", 0.8))
        for c in BUDGETS
    ]
    file.write_text("\n".join([f"recipe,flops,{column}", *lines]) + "\n")
    return file


def seen(page):
    """The text that a reader sees: neither scripts and style sheets nor data."""
    return re.sub(r"<[^>]+>", " ", re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL))


@pytest.mark.parametrize(
    ("column", "scale", "name", "finding"),
    [
        ("wer", 100.0, "WER", "fewer errors"),
        ("val_loss", 8.0, "loss", "less loss"),
        ("cer", 1.0, "CER", "fewer errors"),
    ],
)
def test_page_and_figure_call_the_error_by_its_name(tmp_path, column, scale, name, finding):
    file = table(tmp_path, column, scale)
    findings = findings_of(file)
    text = seen(page_without_figures(findings))
    assert f"predicted {name}" in text
    assert f"% {finding} at 1e20 FLOPs" in text.replace("\u202f", " ").replace("\xa0", " ")
    assert f"What does a wanted {name} cost?" in text
    assert ("CER" in text) == (name == "CER")
    assert chart(findings)["error"] == name
    assert error_by_flops(findings, PAGE).axes[0].get_ylabel() == name
    assert analysis.plot(str(file), Figure().subplots()).get_ylabel() == name


def test_a_column_that_the_error_was_read_from_is_shown_once(tmp_path):
    findings = findings_of(table(tmp_path, "wer", 100.0))
    columns = run_table(findings.table.rows, findings.error_name, {*findings.curves.named.values()}).columns
    assert [column.field for column in columns if column.title == "WER"] == ["cer"]


def test_the_error_asked_for_at_first_is_one_that_a_law_reaches(tmp_path):
    document = chart(findings_of(table(tmp_path, "cer", 1.0)))
    lowest = min(min(row[1] for row in trace["law"] if row[0] <= trace["drawn_to"]) for trace in document["traces"])
    assert lowest <= document["wanted_cer"] < min(p["cer"] for trace in document["traces"] for p in trace["points"])
