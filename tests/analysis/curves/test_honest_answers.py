"""Answers far away, below what a test resolves, with few budgets: what they say, and that they are numbers."""

import json
from itertools import pairwise

import numpy as np
import pytest
from typer.testing import CliRunner

from analysis.cli import app
from analysis.curves.curve_fitting import fit_curves
from analysis.curves.predict import predict, predict_rows
from analysis.recommending.best_for_budget import recommend_for_flops
from analysis.tables.table import read_table

LARGEST = 1e11 * 10**2.5


def said(*arguments: object) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_an_answer_farther_than_any_tested_forecast_is_a_range_and_says_so_first(write_study):
    folder = write_study(noise=0.05)
    near, far = said("predict", folder, "--flops", 5 * LARGEST), said("predict", folder, "--flops", 50 * LARGEST)
    assert "CER 0." in near
    assert "CER somewhere from" in far
    answer = json.loads(said("predict", folder, "--flops", 50 * LARGEST, "--json"))
    assert answer["warnings"][0].startswith("extrapolation_10x")
    assert answer["interval"][0] < answer["cer"] < answer["interval"][1]


def test_money_for_a_billion_times_the_study_buys_no_error_of_nearly_zero(write_study):
    def steep(row):
        return {**row, "cer": 0.5 * (row["flops"] / 1e11) ** -0.5, "ref_chars": 500}

    folder = write_study(change=steep)
    answer = json.loads(said("recommend", folder, "--usd", "20000", "--hardware", "h100-sxm", "--json"))
    assert answer["cer"] == pytest.approx(0.5 / 500)
    assert answer["interval"][0] >= 0.5 / 500
    assert any(line.startswith("below_test_resolution") for line in answer["warnings"])


def test_two_and_three_budgets_get_wide_answers(write_study):
    widths = []
    for budgets in (2, 3, 8):
        curves = fit_curves(read_table(write_study(budgets=budgets, noise=0.03, strategies=("efin",))))
        answer = predict(curves.curves[0], 1e14)
        widths.append(np.log(answer.interval[1] / answer.interval[0]))
    assert widths[0] > widths[1] > widths[2]


def test_a_short_curve_learns_from_the_others_of_its_study(write_study):
    def short(row):
        return row if row["strategy"] == "joint" or row["budget_flops"] < 1e12 else None

    alone = fit_curves(read_table(write_study(noise=0.03, strategies=("efin",), change=short))).curves[0]
    beside = fit_curves(read_table(write_study(noise=0.03, encoders=("mini-s", "mini-m"), change=short))).of("efin")[0]
    widths = [np.log(high / low) for low, high in (predict(curve, 1e13).interval for curve in (alone, beside))]
    assert widths[1] < widths[0]
    assert beside.outlook.pooled == 5


def test_a_table_without_seeds_says_that_seeds_are_not_in_its_interval(write_study, tmp_path):
    rows = [json.loads(line) for line in (write_study(strategies=("efin",)) / "runs.jsonl").read_text().splitlines()]
    table = tmp_path / "bare.csv"
    table.write_text("flops,cer\n" + "".join(f"{row['flops']},{row['cer']}\n" for row in rows if row["seed"] == 0))
    assert "no_seed_variation" in said("predict", table, "--flops", 1e14)
    assert "no_seed_variation" not in said("predict", tmp_path / "study", "--flops", 1e14)


def test_repeating_audio_more_often_than_any_run_is_said(write_study):
    folder = write_study(change=lambda row: {**row, "epochs": 3.0 * row["flops"] / LARGEST})
    assert "repeated_beyond_runs" in said("predict", folder, "--flops", 4 * LARGEST)
    assert "repeated_beyond_runs" not in said("predict", folder, "--flops", 1.2 * LARGEST)


def test_repetition_of_a_named_law_is_measured_in_passes(tmp_path):
    draw, lines = np.random.default_rng(0), ["N,D,U,loss"]
    for n in np.geomspace(1e8, 1e9, 4):
        for u in np.geomspace(1e9, 1e10, 4):
            for passes in (1.0, 2.0, 4.0):
                worth = u * (1 + 15 * (1 - np.exp(-(passes - 1) / 15)))
                loss = (1.7 + 400 * n**-0.35 + 1500 * worth**-0.37) * np.exp(draw.normal(0.0, 0.002))
                lines.append(f"{n},{passes * u},{u},{loss}")
    (tmp_path / "t.csv").write_text("\n".join(lines))
    curve = fit_curves(read_table(tmp_path / "t.csv").renamed({"cer": "loss"}), law="data_constrained").curves[0]
    near, far = predict_rows(curve, {"N": [1e9, 1e9], "D": [4e10, 2e11], "U": [1e10, 1e10]})
    assert "repeated_beyond_runs" in {note.code for note in far.warnings}
    assert "repeated_beyond_runs" not in {note.code for note in near.warnings}
    widths = [np.log(one.curve_interval[1] / one.curve_interval[0]) for one in (near, far)]
    assert widths[1] > 4 * widths[0]


def test_intervals_of_a_named_law_are_monotone_and_nested(write_study):
    for seed in range(6):
        table = read_table(write_study(budgets=5, noise=0.12, seeds=1, strategies=("efin",), random_seed=seed))
        curve = fit_curves(table, law="power_floor").curves[0]
        answers = predict_rows(curve, {"C": np.geomspace(LARGEST, 1e3 * LARGEST, 25).tolist()})
        assert all(a.curve_interval[1] >= b.curve_interval[1] for a, b in pairwise(answers))
        for answer in answers:
            assert answer.interval[0] <= answer.curve_interval[0] <= answer.curve_interval[1] <= answer.interval[1]


def test_no_curve_is_demoted_for_being_uncertain(write_study):
    """The better strategy scatters, so that its single law is not identified; it is recommended all the same."""

    def scattering(row):
        place = np.random.default_rng([int(row["budget_flops"] / 1e9), 3]).normal(0.0, 0.1)
        return {**row, "cer": row["cer"] * (0.5 * float(np.exp(place)) if row["strategy"] == "efin" else 1.0)}

    folder = write_study(budgets=4, decades=1.0, seeds=1, strategies=("efin", "joint"), change=scattering)
    table = read_table(folder)
    answer = recommend_for_flops(fit_curves(table), table, 3e12)
    assert answer.prediction.curve.strategy == "efin"
    runner_up = next(note.message for note in answer.warnings if note.code == "runner_up")
    assert "joint (mini-s + mini-m) comes second" in runner_up
    assert "with a probability of" in runner_up
