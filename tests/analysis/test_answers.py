"""fit, predict, compare and recommend on planted studies, through the nouns and through the command line."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from planted import PLANTED, planted_cer
from typer.testing import CliRunner

from analysis.cli import app
from analysis.comparing.compare import compare_all
from analysis.comparing.compare_curves import compare_curves
from analysis.curves.curve_fitting import fit_curves
from analysis.curves.fits_file import FITS_FILE, curves_of
from analysis.curves.predict import predict
from analysis.recommending.best_for_budget import recommend_for_flops
from analysis.recommending.flops_for_cer import recommend_for_cer
from analysis.recommending.next_runs import propose
from analysis.tables.table import read_table
from scaling.errors import InputError

FAR = 1e15


def asked(*arguments: object) -> object:
    """The JSON document that a command prints."""
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_noise_free_studies_are_predicted_beyond_their_budgets(write_study):
    folder = write_study()
    for strategy in PLANTED:
        answer = asked("predict", folder, "--flops", FAR, "--strategy", strategy)
        assert answer["cer"] == pytest.approx(planted_cer(strategy, FAR), rel=0.08)
        assert answer["interval"][0] < planted_cer(strategy, FAR) < answer["interval"][1]
        assert answer["status"] == "ok"
        assert answer["extrapolation"] == pytest.approx(FAR / (1e11 * 10**2.5))
        assert (answer["encoder"], answer["llm"], answer["law"]) == ("mini-s", "mini-m", "averaged")


def test_a_law_that_was_asked_for_is_recovered_exactly(write_study):
    folder = write_study()
    asked("fit", folder, "--law", "power_floor")
    for strategy in PLANTED:
        answer = asked("predict", folder, "--flops", FAR, "--strategy", strategy)
        assert answer["cer"] == pytest.approx(planted_cer(strategy, FAR), rel=1e-7)
        assert answer["law"] == "power_floor"


def test_predictions_without_a_strategy_are_for_the_best_one_and_the_best_models(write_study):
    answer = asked("predict", write_study(encoders=("mini-s", "mini-m")), "--flops", FAR)
    assert (answer["strategy"], answer["encoder"]) == ("efin", "mini-m")
    assert answer["cer"] == pytest.approx(planted_cer("efin", FAR, "mini-m"), rel=5e-3)


def test_intervals_hold_the_truth_about_as_often_as_they_say(write_study):
    hits, new_hits = 0, 0
    rng = np.random.default_rng(7)
    for seed in range(24):
        curves = fit_curves(read_table(write_study(noise=0.05, random_seed=seed, seeds=1, strategies=("efin",))))
        answer = predict(curves.best(FAR), FAR)
        truth = planted_cer("efin", FAR)
        hits += answer.curve_interval[0] <= truth <= answer.curve_interval[1]
        new = truth * np.exp(0.05 * rng.standard_normal())
        new_hits += answer.interval[0] <= new <= answer.interval[1]
    assert hits >= 17  # binomial(24, 0.9): below 17 once in 300
    assert new_hits >= 17


def test_comparisons_at_equal_flops_and_at_equal_error(write_study):
    answers = {entry["strategy"]: entry for entry in asked("compare", write_study(noise=0.001), "--baseline", "joint")}
    assert set(answers) == {"efin", "frozen_encoder"}
    efin = answers["efin"]
    flops = 1e11 * 10**2.5
    assert efin["flops"] == pytest.approx(flops)
    assert efin["cer_reduction"] == pytest.approx(
        1 - planted_cer("efin", flops) / planted_cer("joint", flops), abs=3e-3
    )
    floor, amplitude, exponent = PLANTED["efin"]
    needed = 1e11 * ((planted_cer("joint", flops) - floor) / amplitude) ** (-1 / exponent)
    assert efin["flops_saved"] == pytest.approx(1 - needed / flops, abs=0.01)
    for key in ("cer_reduction", "flops_saved"):
        low, high = efin[f"{key}_interval"]
        assert low < efin[key] < high
    frozen = answers["frozen_encoder"]
    assert frozen["cer_reduction"] < 0
    assert frozen["flops_saved"] is None
    assert any(line.startswith("not_reached") for line in frozen["warnings"])


def test_compared_intervals_hold_the_truth_about_as_often_as_they_say(write_study):
    flops = 1e11 * 10**2.5
    reduction = 1 - planted_cer("efin", flops) / planted_cer("joint", flops)
    floor, amplitude, exponent = PLANTED["efin"]
    saved = 1 - 1e11 * ((planted_cer("joint", flops) - floor) / amplitude) ** (-1 / exponent) / flops
    hits = np.zeros(2)
    for seed in range(12):
        folder = write_study(noise=0.05, random_seed=seed, seeds=1, strategies=("efin", "joint"))
        curves = fit_curves(read_table(folder))
        answer = compare_curves(curves.of("efin")[0], curves.of("joint")[0])
        hits += [low <= truth <= high for truth, (low, high) in
                 ((reduction, answer.cer_reduction_interval), (saved, answer.flops_saved_interval))]  # fmt: skip
    assert (hits >= 7).all()  # binomial(12, 0.9): below 7 once in 2000


def test_a_budget_is_spent_as_the_nearest_runs_spent_theirs(write_study):
    answer = asked("recommend", write_study(), "--flops", FAR)
    assert answer["strategy"] == "efin"
    assert answer["stage_flops"] == pytest.approx({"encoder": 1e10, "projector": FAR - 1e10})
    assert answer["audio_hours"] == pytest.approx(FAR / 1e8 / 3600)
    assert answer["cer"] == pytest.approx(planted_cer("efin", FAR), rel=5e-3)


def test_a_wanted_cer_names_the_flops_it_needs(write_study):
    folder = write_study(noise=0.01)
    curves, table = curves_of(folder), read_table(folder)
    answer = recommend_for_cer(curves, table, 0.06)
    floor, amplitude, exponent = PLANTED["efin"]
    truth = 1e11 * ((0.06 - floor) / amplitude) ** (-1 / exponent)
    assert answer.flops_interval[0] < truth < answer.flops_interval[1]
    assert answer.flops == pytest.approx(truth, rel=0.5)
    assert answer.prediction.cer == pytest.approx(0.06, rel=1e-3)


def test_a_cer_that_no_curve_reaches_is_refused_with_what_they_reach(write_study):
    answer = asked("recommend", write_study(), "--cer", 0.01)
    assert answer["status"] == "not_identified"
    assert answer["flops"] is None
    assert "The lowest there: efin (mini-s + mini-m) 0.05" in answer["warnings"][0]


def test_seeds_are_averaged_before_the_fit(write_study):
    folder = write_study(seeds=3, noise=0.05)
    (entry,) = [fit for fit in asked("fit", folder)["fits"] if fit["strategy"] == "efin"]
    assert entry["n"] == 8
    assert entry["starts_agreeing"] >= 1


@pytest.mark.parametrize(("budgets", "law", "status"), [(1, None, "too_few_points"), (3, "power", "too_few_points")])
def test_few_budgets_are_said_to_be_few(write_study, budgets, law, status):
    folder = write_study(budgets=budgets, decades=1.0)
    entry = asked("fit", folder)["fits"][0]
    assert (entry["law"], entry["status"]) == (law, status)
    answer = asked("predict", folder, "--flops", 1e13)
    assert (answer["cer"] is None) == (law is None)
    assert any(line.startswith("too_few_points") for line in answer["warnings"])


def test_a_stored_fit_is_used_until_the_runs_change(write_study):
    folder = write_study(noise=0.02)
    asked("fit", folder, "--law", "power")
    assert asked("predict", folder, "--flops", FAR)["law"] == "power"
    written = (folder / FITS_FILE).read_bytes()
    asked("predict", folder, "--flops", FAR)
    assert (folder / FITS_FILE).read_bytes() == written
    write_study(noise=0.03)
    assert asked("predict", folder, "--flops", FAR)["law"] == "power"
    assert (folder / FITS_FILE).read_bytes() != written


def test_a_table_from_elsewhere_is_read_alike(write_study, tmp_path):
    folder = write_study()
    rows = [json.loads(line) for line in (folder / "runs.jsonl").read_text().splitlines()]
    names = ("strategy", "flops", "cer")
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["# from elsewhere", ",".join(names), *(",".join(str(row[name]) for name in names)
                                                                     for row in rows)]))  # fmt: skip
    entries = {entry["strategy"]: entry for entry in asked("fit", table)["fits"]}
    for strategy, (floor, _, exponent) in PLANTED.items():
        assert entries[strategy]["theta"]["E"] == pytest.approx(floor, rel=1e-6)
        assert entries[strategy]["theta"]["b"] == pytest.approx(exponent, rel=1e-6)


def test_diverged_runs_do_not_enter_and_are_named(write_study):
    def diverge(row):
        return {**row, "status": "diverged", "cer": 0.99} if row["seed"] == 1 and row["budget_flops"] > 1e13 else row

    document = asked("fit", write_study(change=diverge))
    assert all(entry["status"] == "ok" for entry in document["fits"])
    assert any("status 'diverged'" in line for line in document["warnings"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flops": -1.0}, "flops is -1.0, expected a positive number"),
        ({"flops": "many"}, "flops is 'many', expected a number"),
        ({"flops": 1e200}, "flops is 1e+200, expected a number from 1e-40 to 1e+40"),
        ({"cer": -0.1}, "cer is -0.1, expected zero or more"),
        ({"cer": 1e300}, "cer is 1e+298, expected a number from 1e-40 to 1e+40"),
        ({"cer": 1e-310}, "cer is 1e-310, expected a number from 1e-40 to 1e+40"),
        ({"epochs": 1e300}, "epochs is 1e+300, expected a number from 1e-40 to 1e+40"),
        ({"cer": 0.0, "ref_chars": float("inf")}, "ref_chars is inf, expected a number from 1e-40 to 1e+40"),
        ({"cer_chance": 0.0}, "cer_chance is 0.0, expected a positive number"),
        ({"cer_chance": -1.0}, "cer_chance is -1.0, expected a positive number"),
        ({"key": "same"}, "again with another cer"),
    ],
)
def test_inconsistent_rows_are_refused_with_their_line(write_study, change, message):
    with pytest.raises(InputError) as error:
        fit_curves(read_table(write_study(change=lambda row: {**row, **change})))
    assert message in str(error.value)
    assert "runs.jsonl:" in str(error.value)


def test_wrong_names_get_the_nearest_valid_one(write_study):
    curves = fit_curves(read_table(write_study()))
    with pytest.raises(InputError, match="did you mean 'efin'"):
        curves.of(strategy="efni")
    with pytest.raises(InputError, match="did you mean 'joint'"):
        compare_all(curves, "jiont")


def test_recommendations_carry_the_warnings_of_their_fit(write_study):
    folder = write_study(decades=1.0)
    answer = recommend_for_flops(curves_of(folder), read_table(folder), 1e15)
    codes = {note.code for note in answer.warnings}
    assert {"narrow_range", "extrapolation_100x"} <= codes


def test_asking_imports_neither_torch_nor_scipy_nor_pandas(write_study):
    folder = write_study(noise=0.02)
    curves_of(folder)
    code = (
        "import sys; from analysis.cli import app\n"
        f"app(['predict', {str(folder)!r}, '--flops', '1e14', '--json'], standalone_mode=False)\n"
        "assert not {'torch', 'scipy', 'pandas', 'transformers', 'wandb', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr


def test_a_budget_that_needs_more_audio_than_exists_says_so(write_study):
    folder = write_study(change=lambda row: {**row, "train_hours": 10.0})
    answer = asked("recommend", folder, "--flops", FAR)
    assert any(line.startswith("audio_runs_out") for line in answer["warnings"])
    assert not any(
        line.startswith("audio_runs_out") for line in asked("recommend", folder, "--flops", 1e13)["warnings"]
    )


def test_verbs_say_in_a_pipe_what_takes_them_long_and_print_one_document(
    write_study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scaling.system.progress_line.PATIENCE_SECONDS", 0.0)
    for arguments, said in {
        ("fit",): ["fitting laws to DIR ..."],
        ("compare", "--baseline", "joint"): ["fitting laws to DIR ...", "comparing 2 strategies ..."],
        ("coverage", "--sets", "5", "--strategy", "efin"): ["repeating the design of efin (mini-s + mini-m) 5 times"],
    }.items():
        folder = write_study(budgets=4, strategies=("efin", "joint"), noise=0.02)
        verb, *options = arguments
        done = CliRunner().invoke(app, [verb, str(folder), *options, "--json"], catch_exceptions=False)
        json.loads(done.stdout)
        for line in said:
            assert line.replace("DIR", str(folder)) in done.stderr, verb


@pytest.mark.parametrize(("verb", "option"), [("coverage", "--sets"), ("design", "--runs")])
@pytest.mark.parametrize("count", [0, -3])
def test_nothing_is_repeated_or_proposed_less_than_once(write_study, verb, option, count):
    needed = ["--flops", FAR, "--spend", FAR] if verb == "design" else []
    result = CliRunner().invoke(app, [str(part) for part in (verb, write_study(), *needed, option, count)])
    assert result.exit_code == 2
    assert option in result.output


def test_a_design_from_a_law_asked_for_says_that_the_law_is_in_the_way(write_study):
    stored = fit_curves(read_table(write_study()), law="power_floor")
    with pytest.raises(InputError, match=r"fitted with the law power_floor; .* fit without --law"):
        propose(stored.curves[0], FAR, FAR)


def test_a_law_in_other_columns_is_not_asked_about_flops(tmp_path):
    rows = [
        {"N": n, "D": d, "cer": 0.1 + 10.0 * n**-0.3 + 50.0 * d**-0.3}
        for n in (1e6, 1e7, 1e8)
        for d in (1e8, 1e9, 1e10)
    ]
    table = tmp_path / "sizes.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    curve = fit_curves(read_table(table), law="chinchilla").curves[0]
    for ask in (curve.cer, lambda flops: predict(curve, flops)):
        with pytest.raises(InputError, match="its law is in N, D, not in FLOPs; predict with --at"):
            ask(1e18)


def test_coverage_leaves_out_a_curve_that_is_too_short_and_is_refused_where_all_are(write_study):
    def short(row):
        return None if row["strategy"] == "joint" and row["budget_flops"] > 3e11 else row

    folder = write_study(noise=0.03, strategies=("efin", "joint"), change=short)
    assert [entry["strategy"] for entry in asked("coverage", folder, "--sets", 2)] == ["efin"]
    with pytest.raises(InputError, match=r"coverage: joint .*too few budgets"):
        CliRunner().invoke(app, ["coverage", str(folder), "--strategy", "joint"], catch_exceptions=False)
