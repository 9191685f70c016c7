"""Forecast runs against the fits: the verb and the report judge each run alike."""

import json
import re
import shutil
from pathlib import Path

import pytest
from pages import page_without_figures

from analysis.curves.fits_file import curves_of
from analysis.curves.forecast_check import check_forecasts, read_forecasts
from analysis.report.findings import findings_of
from scaling.errors import InputError

MINIATURE = Path(__file__).parents[3] / "results" / "miniature"


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniature study with its fits."""
    folder = tmp_path_factory.mktemp("fitted")
    shutil.copy(MINIATURE / "runs.jsonl", folder)
    curves_of(folder)
    return folder


@pytest.fixture
def study(fitted: Path, tmp_path: Path) -> Path:
    """The miniature study with its fits and a second forecast run, without a status, inside the interval."""
    folder = tmp_path / "miniature"
    shutil.copytree(fitted, folder)
    (run,) = [json.loads(line) for line in (MINIATURE / "forecast" / "runs.jsonl").read_text().splitlines()]
    other = {**run, "seed": 1, "key": "second", "cer": 0.04, "status": None}
    (folder / "forecast").mkdir()
    (folder / "forecast" / "runs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in (run, other)))
    return folder


def test_each_run_is_held_against_the_interval_of_one_new_run(study):
    forecasts = check_forecasts(curves_of(study), study)
    assert [(forecast.truth < 0.03, forecast.inside) for forecast in forecasts] == [(True, False), (False, True)]


def test_the_report_judges_every_run_as_the_verb_does(study):
    by_verb = check_forecasts(curves_of(study), study)
    findings = findings_of(study)
    assert [(one.truth, one.inside) for one in findings.forecasts] == [(one.truth, one.inside) for one in by_verb]
    text = page_without_figures(findings)
    assert sorted(re.findall(r"<td>(inside|outside)</td>", text)) == ["inside", "outside"]


def test_a_run_without_a_curve_is_refused_by_the_verb_with_the_nearest_name(study):
    file = study / "forecast" / "runs.jsonl"
    file.write_text(file.read_text().replace('"strategy": "joint"', '"strategy": "jiont"'))
    with pytest.raises(InputError, match="did you mean 'joint'"):
        check_forecasts(curves_of(study), study)


def test_a_study_without_forecast_runs_is_told_how_to_make_them(study):
    shutil.rmtree(study / "forecast")
    with pytest.raises(InputError, match="no forecast runs"):
        check_forecasts(curves_of(study), study)
    assert read_forecasts(curves_of(study), study) == ()  # of which a report is made all the same
