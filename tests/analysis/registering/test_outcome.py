"""Registered forecasts against the runs that came: what is held, what is late, and what counts."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.registering.outcome import ForecastOutcome, score_registered
from analysis.registering.record import FORECASTS_FILE, RegisteredForecast
from analysis.registering.register import register

ASKED = 3.16e13
LATER, BEFORE = 4e9, 1e9
"""Times in seconds since 1970, after and before any test."""


@pytest.fixture
def study(write_study: Callable[..., Path]) -> Path:
    return write_study(budgets=5, decades=2.0, strategies=("efin",), noise=0.03)


def rows_of(study: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (study / "runs.jsonl").read_text().splitlines()]


def add(study: Path, *errors: float, **fields: Any) -> None:
    """Append a run with each of these errors at the budget asked, 2 % over it."""
    rows = rows_of(study)
    new = {**rows[-1], "budget_flops": ASKED, "flops": 1.02 * ASKED, "finished": LATER, **fields}
    rows += [{**new, "key": f"{study.name}-{len(rows)}-{i}", "seed": i, "cer": cer} for i, cer in enumerate(errors)]
    (study / "runs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def only(study: Path) -> ForecastOutcome:
    (outcome,) = score_registered(study).outcomes
    return outcome


def test_a_forecast_without_a_run_waits(study: Path) -> None:
    register(study, [ASKED])
    assert only(study).state == "waiting"
    score = score_registered(study).as_dict()
    assert (score["forecasts"], score["waiting"], score["pairs"], score["pairs_held_share"]) == (1, 1, 0, None)


def test_seeds_of_a_pair_count_once_for_the_pair_and_each_for_the_runs(study: Path) -> None:
    (said,) = register(study, [ASKED])
    low, high = said.interval
    add(study, said.cer, 0.5 * low, 1.1 * high)
    outcome = only(study)
    assert (outcome.state, outcome.late, outcome.runs_held, len(outcome.runs)) == ("scored", False, 1, 3)
    assert outcome.truth == pytest.approx((said.cer * 0.5 * low * 1.1 * high) ** (1 / 3))
    score = score_registered(study).as_dict()
    assert (score["pairs"], score["runs"], score["runs_held"]) == (1, 3, 1)
    assert score["pairs_held"] == int(low <= outcome.truth <= high)
    assert score["truth_over_prediction"] == pytest.approx(outcome.truth / said.cer)
    width = math.log(high / low)
    by_hand = (width + (width + 20 * math.log(2.0)) + (width + 20 * math.log(1.1))) / 3
    assert score["interval_score"] == pytest.approx(by_hand)


def test_means_are_over_pairs_however_many_seeds_one_has(write_study: Callable[..., Path]) -> None:
    study = write_study(budgets=5, decades=2.0, strategies=("efin", "joint"))
    efin, joint = register(study, [ASKED])
    add(study, efin.cer, efin.cer, efin.cer, strategy="efin")
    add(study, 2.0 * joint.interval[1], strategy="joint")
    score = score_registered(study).as_dict()
    assert (score["pairs"], score["pairs_held"], score["runs"], score["runs_held"]) == (2, 1, 4, 3)
    assert score["held_by_level"] == {level: pytest.approx(0.5) for level in ("0.5", "0.8", "0.9", "0.95")}
    widths = [math.log(one.interval[1] / one.interval[0]) for one in (efin, joint)]
    assert score["interval_score"] == pytest.approx((sum(widths) + 20 * math.log(2.0)) / 2)


def test_a_run_of_another_curve_or_budget_is_none_of_the_forecast(study: Path) -> None:
    register(study, [ASKED])
    add(study, 0.1, encoder="mini-m")
    add(study, 0.1, budget_flops=1.2 * ASKED)
    add(study, 0.1, status="diverged")
    assert only(study).state == "waiting"


def test_runs_that_a_fit_would_set_aside_count(study: Path) -> None:
    (said,) = register(study, [ASKED])
    add(study, said.cer, 1.2)
    assert [run.cer for run in only(study).runs] == [said.cer, 1.2]


def test_a_forecast_written_after_a_run_was_finished_is_late_and_counts_for_nothing(study: Path) -> None:
    (said,) = register(study, [ASKED])
    add(study, said.cer, finished=BEFORE)
    add(study, said.cer)
    outcome = only(study)
    assert (outcome.state, outcome.late) == ("registered_late", True)
    score = score_registered(study).as_dict()
    assert (score["registered_late"], score["pairs"], score["interval_score"]) == (1, 0, None)


def test_of_a_run_without_a_time_nobody_knows(study: Path) -> None:
    (said,) = register(study, [ASKED])
    add(study, said.cer, finished=None)
    outcome = only(study)
    assert (outcome.state, outcome.late) == ("scored", None)
    assert score_registered(study).as_dict()["of_unknown_time"] == 1


def test_saying_it_again_with_more_runs_known_changes_no_score(study: Path) -> None:
    (first,) = register(study, [ASKED])
    add(study, 0.1, budget_flops=1.6e13, flops=1.6e13)
    register(study, [ASKED])
    add(study, 2.0 * first.interval[1])
    assert [outcome.counted for outcome in score_registered(study).outcomes] == [True, False]
    score = score_registered(study).as_dict()
    assert (score["forecasts"], score["pairs"], score["pairs_held"]) == (2, 1, 0)


def test_the_table_that_a_forecast_rests_on_is_found_again_until_one_of_its_rows_changes(study: Path) -> None:
    (said,) = register(study, [ASKED])
    add(study, said.cer)
    assert only(study).table_found
    rows = rows_of(study)
    rows[0]["cer"] *= 1.0001
    (study / "runs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[::-1]))
    assert not only(study).table_found


def test_runs_in_the_folder_of_forecast_runs_count_and_a_run_in_both_tables_once(study: Path) -> None:
    (said,) = register(study, [ASKED])
    (study / "forecast").mkdir()
    add(study, said.cer)
    (study / "forecast" / "runs.jsonl").write_text((study / "runs.jsonl").read_text())
    assert len(only(study).runs) == 1
    add(study / "forecast", said.cer)
    assert len(only(study).runs) == 2


def test_the_verb_registers_refuses_and_scores(study: Path, asr_scaling: Callable[..., Any]) -> None:
    none = asr_scaling("forecast", study)
    assert (none.returncode, "no forecast runs" in none.stderr) == (2, True)
    said = asr_scaling("forecast", study, "--register", "--flops", "3.16e13,1e14", "--flops", "3e14", "--json")
    written = json.loads(said.stdout)
    assert [one["flops"] for one in written] == [3.16e13, 1e14, 3e14]
    lines = (study / FORECASTS_FILE).read_text().splitlines()
    assert written == [json.loads(line) for line in lines]
    again = asr_scaling("forecast", study, "--register", "--flops", "1e14")
    assert (again.returncode, again.stdout, "written down once" in again.stderr) == (2, "", True)
    add(study, written[0]["cer"])
    found = json.loads(asr_scaling("forecast", study, "--json").stdout)
    assert (found["runs"], found["score"]["pairs_held"], found["score"]["waiting"]) == ([], 1, 2)
    assert [one["state"] for one in found["registered"]] == ["scored", "waiting", "waiting"]
    assert set(written[0]) <= set(found["registered"][0])
    text = asr_scaling("forecast", study).stdout
    assert "single runs: it holds 1 of 1 (100.0%)" in text
    assert "2 of 3 forecasts wait for their runs" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--register"], "name the budgets with --flops"),
        (["--flops", "1e14"], "choose what --register writes down"),
        (["--register", "--flops", "1e14,x"], "--flops: 'x', expected a positive number"),
        (["--register", "--flops", "-1"], "--flops: '-1', expected a positive number"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    study: Path, asr_scaling: Callable[..., Any], options: list[str], message: str
) -> None:
    done = asr_scaling("forecast", study, *options)
    assert done.returncode == 2
    assert message in done.stderr


def test_the_interval_score_is_that_of_the_benchmark(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from analysis.forecasting.interval_score import interval_score

    monkeypatch.syspath_prepend(str(shared_data.parent / "tools"))
    forecast_bank = pytest.importorskip("forecast_bank")
    for low, high, truth in ((0.1, 0.2, 0.15), (0.1, 0.2, 0.05), (0.1, 0.2, 0.3)):
        ((row,), _) = forecast_bank.score([("curve", None, [(2, truth, 0.15, (low, high))])])
        assert interval_score(low, high, truth, 0.9) == pytest.approx(row["interval_score"])


def test_the_layout_is_described_field_by_field() -> None:
    page = (Path(__file__).parents[3] / "results" / "README.md").read_text("utf-8").partition("## Forecasts")[2]
    first_cells = "".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| `"))
    fields = {field.alias or name for name, field in RegisteredForecast.model_fields.items()}
    assert set(re.findall(r"`(\w+)`", first_cells)) == fields
