"""Gains by charged, executed and cache-credited FLOPs, and at equal audio."""

import json
from functools import partial

import pytest
from pages import page_without_figures
from planted import planted_cer, write_planted
from typer.testing import CliRunner

from analysis.cli import app
from analysis.comparing.compare import compare_all
from analysis.curves.fits_file import curves_of
from analysis.report.findings import findings_of
from analysis.tables.table import read_table
from scaling.errors import InputError

PADDING = {"efin": 1.5, "joint": 1.0}
"""Executed over charged FLOPs of the planted runs: efin pads so much that its lead is gone."""


def padded(row):
    padding = PADDING[row["strategy"]]
    return {**row, "executed_flops": row["flops"] * padding, "cache_credited_flops": row["flops"] * padding * 0.8}


def compared(folder, **options):
    (one,) = compare_all(curves_of(folder), "joint", table=read_table(folder), **options)
    return one


def study(write_study, change, **options):
    return write_study(strategies=("efin", "joint"), noise=0.001, change=change, **options)


@pytest.fixture(scope="module")
def padded_study(tmp_path_factory):
    """A study of padded runs, whose fits are stored by the first who asks. Tests only read it."""
    return study(partial(write_planted, tmp_path_factory.mktemp("padded") / "study"), padded)


def test_gains_are_reported_in_every_currency_that_the_runs_have(padded_study):
    one = compared(padded_study)
    charged, executed, credited = one.details.currencies
    assert [gain.currency for gain in one.details.currencies] == ["flops", "executed_flops", "cache_credited_flops"]
    assert charged.cer_reduction == one.cer_reduction
    truth = 1 - planted_cer("efin", one.flops / 1.5) / planted_cer("joint", one.flops)
    assert executed.flops == pytest.approx(one.flops)
    assert executed.cer_reduction == pytest.approx(truth, abs=0.003)
    assert credited.cer_reduction == pytest.approx(truth, abs=0.003)
    assert credited.flops == pytest.approx(0.8 * one.flops)
    assert executed.cer_reduction < charged.cer_reduction - 0.03


def test_a_change_of_sign_between_currencies_is_a_finding(write_study):
    def costly(row):
        return {**row, "executed_flops": row["flops"] * (9.0 if row["strategy"] == "efin" else 1.0)}

    one = compared(study(write_study, costly), flops=1e12)
    charged, executed = one.details.currencies
    assert executed.cer_reduction < 0.0 < charged.cer_reduction
    assert "sign_by_currency" in {note.code for note in one.warnings}


def test_no_change_of_sign_is_no_finding(padded_study):
    assert "sign_by_currency" not in {note.code for note in compared(padded_study).warnings}


def test_a_currency_that_some_runs_lack_is_left_out(write_study):
    def older(row):
        row = padded(row)
        if row["seed"] == 1:
            del row["cache_credited_flops"]
        return row

    found = [gain.currency for gain in compared(study(write_study, older)).details.currencies]
    assert found == ["flops", "executed_flops"]
    assert compared(study(write_study, lambda row: row)).details.currencies == ()


def test_the_exchange_rate_is_the_baselines_at_the_budget(write_study):
    def growing(row):
        return {**row, "executed_flops": row["flops"] * (1.0 + 0.1 * (row["flops"] > 1e12))}

    folder = study(write_study, growing)
    assert compared(folder, flops=2e11).details.currencies[1].flops == pytest.approx(2e11)
    assert compared(folder, flops=1e15).details.currencies[1].flops == pytest.approx(1.1e15)


def test_compare_and_the_report_show_the_currencies(padded_study):
    folder = padded_study
    text = CliRunner().invoke(app, ["compare", str(folder), "--baseline", "joint"]).stdout
    assert "executed FLOPs for both" in text
    assert "cache-credited FLOPs for both" in text
    document = json.loads(CliRunner().invoke(app, ["compare", str(folder), "--baseline", "joint", "--json"]).stdout)
    assert len(document[0]["currencies"]) == 3
    page = page_without_figures(findings_of(folder))
    assert "By what is counted" in page
    assert "cache-credited FLOPs" in page


def hearing(share):
    def change(row):
        hours = row["flops"] / (1e9 if row["strategy"] == "efin" else share * 1e9)
        return {**row, "unique_audio_seconds": 3600.0 * hours}

    return change


def test_strategies_are_compared_at_equal_unique_hours_too(write_study):
    one = compared(study(write_study, hearing(2.0)))
    equal = one.details.equal_unique_hours
    assert equal.baseline_flops == pytest.approx(2 * equal.flops, rel=1e-6)
    truth = 1 - planted_cer("efin", equal.flops) / planted_cer("joint", equal.baseline_flops)
    assert equal.cer_reduction == pytest.approx(truth, abs=0.01)
    assert one.as_dict()["equal_unique_hours"]["hours"] == pytest.approx(equal.hours)


def test_where_every_run_heard_the_same_audio_there_is_no_such_view(write_study):
    one = compared(study(write_study, lambda row: {**row, "unique_audio_seconds": 7200.0}))
    assert one.details.equal_unique_hours is None


def test_an_unknown_baseline_is_refused(padded_study):
    with pytest.raises(InputError, match="no run has"):
        compare_all(curves_of(padded_study), "joined")
