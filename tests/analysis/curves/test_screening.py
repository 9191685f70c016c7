"""Runs that diverged or never began to learn, among runs that did: named, set aside, and their weight told."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from analysis.cli import app
from analysis.comparing.compare import compare_all
from analysis.curves.curve_fitting import fit_curves
from analysis.curves.fits_file import curves_of
from analysis.curves.predict import predict
from analysis.curves.screening import set_aside
from analysis.tables.table import read_table

LARGEST = 1e11 * 10**2.5


def diverged_at(budget: int, seed: int = 0, error: float = 1.1):
    """The change that makes one run of `efin` diverge; `budget` counts from the smallest."""

    def change(row):
        place = round(np.log10(row["budget_flops"] / 1e11) / 2.5 * 7)
        wrong = row["strategy"] == "efin" and place == budget and row["seed"] == seed
        return {**row, "cer": error} if wrong else row

    return change


@pytest.mark.parametrize("seeds", [1, 2, 3, 4])
@pytest.mark.parametrize("budget", [0, 3, 7])
def test_one_diverged_run_is_set_aside_in_any_cell_and_no_other(write_study, budget, seeds):
    table = read_table(write_study(noise=0.05, seeds=seeds, change=diverged_at(budget)))
    assert [table.rows[i]["cer"] for i in set_aside(table)] == [1.1]


def test_runs_at_chance_before_the_onset_of_learning_are_kept(write_study):
    def late(row):
        noise = np.random.default_rng([row["seed"], int(row["budget_flops"] / 1e9)]).normal(0.0, 0.05)
        return {**row, "cer": min(1.2, float(np.exp(noise)) / (1.0 + (row["budget_flops"] / 5e12) ** 1.3))}

    table = read_table(write_study(change=late))
    assert sum(row["cer"] > 0.9 for row in table.rows) > 6
    assert set_aside(table) == {}


def test_a_study_that_never_learns_loses_no_run(write_study):
    assert set_aside(read_table(write_study(change=lambda row: {**row, "cer": 0.97}))) == {}


def test_losses_have_no_chance_and_none_is_set_aside(write_study):
    def loss(row):
        return {**row, "cer": 1.5 + 2.0 * (row["budget_flops"] / 1e11) ** -0.2}

    assert set_aside(read_table(write_study(change=loss))) == {}


def test_the_answer_is_that_of_the_other_runs_and_says_what_it_would_have_been(write_study):
    with_it = write_study(noise=0.03, change=diverged_at(7))
    answer = predict(fit_curves(read_table(with_it)).of("efin")[0], 1e14)
    without = fit_curves(read_table(with_it).without(set_aside(read_table(with_it))))
    assert answer.cer == pytest.approx(predict(without.of("efin")[0], 1e14).cer)
    notes = {note.code: note.message for note in answer.warnings}
    assert "are at chance" in notes["failed_run"]
    assert "runs.jsonl:15 (cer 1.1)" in notes["failed_run"]
    would_be = float(notes["set_aside_effect"].split("would be CER ")[1].split(" [")[0])
    assert would_be > 1.3 * answer.cer


def test_every_verb_names_the_run_set_aside_and_rows_left_out(write_study):
    def broken(row):
        changed = diverged_at(2)(row)
        first = row["strategy"] == "joint" and row["seed"] == 0 and row["budget_flops"] == 1e11
        return {**changed, "cer": float("nan")} if first else changed

    folder = write_study(noise=0.03, change=broken)
    for verb in (
        ("fit",),
        ("predict", "--flops", "1e14"),
        ("compare", "--baseline", "joint"),
        ("recommend", "--flops", "1e14"),
        ("coverage", "--sets", "3", "--strategy", "efin"),
        ("design", "--flops", "1e15", "--spend", "1e14", "--runs", "4"),
        ("laws", "--strategy", "efin"),
    ):
        said = CliRunner().invoke(app, [verb[0], str(folder), *verb[1:]], catch_exceptions=False).stdout
        assert "failed_run" in said, verb
        assert "no_error_rate" in said, verb


def test_a_comparison_says_what_it_would_have_been(write_study):
    folder = write_study(noise=0.03, strategies=("efin", "joint"), change=diverged_at(7))
    (comparison,) = compare_all(curves_of(folder), "joint", table=read_table(folder))
    assert {"failed_run", "set_aside_effect"} <= {note.code for note in comparison.warnings}


def test_lines_set_aside_are_kept_with_the_fits(write_study):
    folder = write_study(noise=0.03, change=diverged_at(7))
    first, again = curves_of(folder), curves_of(folder)
    assert len(first.set_aside) == 1
    assert again.set_aside == first.set_aside
    assert json.loads((folder / "fits.json").read_text())["set_aside"] == list(first.set_aside)
    assert len(first.used(read_table(folder)).rows) == len(read_table(folder).rows) - 1


def test_runs_that_do_not_hear_are_not_on_the_curve_of_those_that_do(write_study):
    def deaf_below(budget):
        def change(row):
            hears = row["budget_flops"] > budget
            return {**row, "hears": hears, "cer": row["cer"] if hears else 0.8}

        return change

    table = read_table(write_study(noise=0.02, strategies=("efin",), change=deaf_below(5e11)))
    assert {table.rows[i]["hears"] for i in set_aside(table)} == {False}
    curve = fit_curves(table).curves[0]
    assert curve.domain["C"][0] > 5e11
    codes = [note.code for note in predict(curve, 1e14).warnings]
    assert "not_hearing" in codes
    assert "set_aside_effect" in codes
    everywhere = read_table(write_study(noise=0.02, strategies=("efin",), change=deaf_below(1e20)))
    assert set_aside(everywhere) == {}
