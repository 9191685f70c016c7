"""The page says why runs of its figure are in no fit: they do not hear yet, they failed, or no law can hold them."""

import pytest
from pages import page_without_figures

from analysis.curves.screening import DEAF
from analysis.curves.traces import OUTLIER
from analysis.report.findings import findings_of
from analysis.report.page.chart_data import chart


def deaf(row):
    hears = row["budget_flops"] > 5e11
    return {**row, "hears": hears, "cer": row["cer"] if hears else 0.8}


def failed(row):
    return {**row, "cer": 1.1} if row["budget_flops"] > 1e13 and row["seed"] == 1 else row


@pytest.mark.parametrize(
    ("change", "why"),
    [(deaf, DEAF), (failed, "are at chance, where the others of their curve are not")],
)
def test_the_caption_and_the_point_say_why_runs_are_open(write_study, change, why):
    folder = write_study(noise=0.02, strategies=("efin",), change=change)
    findings = findings_of(folder)
    assert findings.reasons_aside == (why,)
    points = [point for trace in chart(findings)["traces"] for point in trace["points"]]
    assert {point["set_aside"] for point in points} == {None, why}
    page = page_without_figures(findings)
    assert f"Open: set aside, because they {why}." in page
    assert OUTLIER not in page


def test_without_such_runs_the_caption_speaks_of_none(write_study):
    page = page_without_figures(findings_of(write_study(budgets=4, noise=0.02, strategies=("efin",))))
    assert "Open: set aside" not in page
