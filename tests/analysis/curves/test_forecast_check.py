"""Forecast runs against the fits: the verb and the report judge each run alike."""

import json
import re
import shutil
from pathlib import Path

import pytest

from analysis.curves.fits_file import curves_of
from analysis.curves.forecast_check import check_forecasts
from analysis.report.findings import findings_of
from analysis.report.report import write_report
from scaling.errors import InputError

MINIATURE = Path(__file__).parents[3] / "results" / "miniature"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The miniature study with a second forecast run, without a status, inside the interval."""
    folder = tmp_path / "miniature"
    folder.mkdir()
    shutil.copy(MINIATURE / "runs.jsonl", folder)
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
    by_report = findings_of(study).forecasts
    assert [(one.truth, one.inside) for one in by_report] == [(one.truth, one.inside) for one in by_verb]
    text = write_report(study).path.read_text(encoding="utf-8")
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
    assert findings_of(study).forecasts == ()
