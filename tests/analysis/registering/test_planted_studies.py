"""Over many planted studies, forecasts that were registered from the lower budgets come true as often as they say."""

import json
import math
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from analysis.forecasting.interval_score import interval_score
from analysis.registering.outcome import ForecastOutcome, ForecastScore, score_registered
from analysis.registering.record import FORECASTS_FILE, SCHEMA
from analysis.registering.register import register

NOISE = 0.05
SEEN = np.geomspace(1e10, 1e12, 5).tolist()
ASKED = [3.2e12, 1e13]
SHARES = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)


def planted(generator: np.random.Generator, curves: int) -> list[dict[str, Any]]:
    """Rows of curves with laws of their own, two seeds a budget, the budgets asked among them."""
    rows = []
    for curve in range(curves):
        floor, fall, exponent = generator.uniform((0.0, 0.3, 0.25), (0.02, 0.6, 0.5))
        for budget in (*SEEN, *ASKED):
            for seed in range(2):
                cer = (floor + fall * (budget / SEEN[0]) ** -exponent) * math.exp(NOISE * generator.standard_normal())
                key = f"{curve}-{budget:g}-{seed}"
                rows.append(
                    {"key": key, "strategy": f"s{curve}", "budget_flops": budget, "flops": budget, "seed": seed}
                    | {"cer": cer, "finished": 4e9, "status": "ok"}
                )
    return rows


def write(folder: Path, rows: list[dict[str, Any]]) -> None:
    (folder / "runs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[ForecastOutcome]:
    found: list[ForecastOutcome] = []
    for study in range(3):
        folder = tmp_path_factory.mktemp("planted")
        rows = planted(np.random.default_rng(study), curves=10)
        write(folder, [row for row in rows if row["budget_flops"] in SEEN])
        register(folder, ASKED)
        write(folder, rows)
        found += score_registered(folder).outcomes
    return found


def test_every_forecast_is_scored_and_its_table_found(outcomes: list[ForecastOutcome]) -> None:
    assert len(outcomes) == 60
    assert all(outcome.counted and outcome.table_found and len(outcome.runs) == 2 for outcome in outcomes)


def test_of_straight_planted_laws_forecasts_hold_what_they_say_and_more(outcomes: list[ForecastOutcome]) -> None:
    """The product believes that laws may bend, these do not: its intervals hold more than they say, never less."""
    assert np.mean([outcome.runs_held / 2 for outcome in outcomes]) > 0.85
    assert np.mean([outcome.held_at(0.5) for outcome in outcomes]) > 0.4


def test_forecasts_are_neither_high_nor_low_on_average(outcomes: list[ForecastOutcome]) -> None:
    ratios = [math.log(outcome.ratio or 0.0) for outcome in outcomes]
    assert abs(np.mean(ratios)) < 0.06, np.mean(ratios)


SPREAD = 0.1


def known(folder: Path, curves: int) -> ForecastScore:
    """Forecasts that say what is planted, log-normal errors around .2, scored against two runs a curve."""
    normal, generator = NormalDist(math.log(0.2), SPREAD), np.random.default_rng(0)
    quantiles = {f"{share:g}": math.exp(normal.inv_cdf(share)) for share in SHARES}
    ends = (quantiles["0.05"], quantiles["0.95"])
    forecasts, rows = [], []
    for curve in range(curves):
        said = {
            "schema": SCHEMA,
            "time": "2026-01-01T00:00:00Z",
            "digest": "d",
            "runs": 1,
            "version": "0",
            "strategy": f"s{curve}",
            "encoder": None,
            "llm": None,
            "flops": ASKED[0],
            "cer": 0.2,
            "level": 0.9,
            "interval": ends,
            "curve_interval": ends,
            "quantiles": quantiles,
            "extrapolation": 3.2,
            "law": "averaged",
            "loss": "log_ls",
            "status": "ok",
            "warnings": [],
            "largest_budget_flops": SEEN[-1],
        }
        forecasts.append(said)
        rows += [
            {"key": f"{curve}-{seed}", "strategy": f"s{curve}", "flops": ASKED[0], "seed": seed, "status": "ok"}
            | {"cer": 0.2 * math.exp(SPREAD * generator.standard_normal()), "finished": 4e9}
            for seed in range(2)
        ]
    (folder / FORECASTS_FILE).write_text("".join(json.dumps(said) + "\n" for said in forecasts))
    write(folder, rows)
    return score_registered(folder)


def test_forecasts_that_say_what_is_planted_score_as_theory_has_it(tmp_path: Path) -> None:
    score = known(tmp_path, curves=800).as_dict()
    assert (score["pairs"], score["runs"]) == (800, 1600)
    for level, held in score["held_by_level"].items():
        share = float(level)
        assert held == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 1600)), level
    assert score["runs_held_share"] == pytest.approx(0.9, abs=0.03)
    of_two = 2 * NormalDist().cdf(math.sqrt(2) * 1.6448536) - 1  # their mean varies by 1 / sqrt(2) of a run
    assert score["pairs_held_share"] == pytest.approx(of_two, abs=0.025)
    by_theory = SPREAD * 2 * NormalDist().pdf(1.6448536) / 0.05  # Gneiting and Raftery (2007)
    assert score["interval_score"] == pytest.approx(by_theory, rel=0.05)
    assert score["truth_over_prediction"] == pytest.approx(1.0, abs=4 * SPREAD / math.sqrt(1600))


def test_no_other_interval_scores_better_than_that_of_the_law_that_is_true() -> None:
    draws = np.exp(SPREAD * np.random.default_rng(0).standard_normal(20_000))

    def score(factor: float) -> float:
        arm = factor * 1.6448536 * SPREAD
        return float(np.mean([interval_score(math.exp(-arm), math.exp(arm), truth, 0.9) for truth in draws]))

    assert score(1.0) < min(score(0.8), score(1.25))
