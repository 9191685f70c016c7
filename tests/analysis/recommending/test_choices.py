"""Choosing a law, designing the next runs, checking a design, and paying for it."""

import json

import numpy as np
import pytest
from planted import curve_through
from typer.testing import CliRunner

from analysis.cli import app
from analysis.curves.coverage import coverage
from analysis.curves.curve_fitting import fit_curves
from analysis.curves.fits_file import curves_of
from analysis.fitting.model_selection import answer_range, default_fit, ranked_laws
from analysis.forecasting.prior import SEPARATE_RUNS
from analysis.recommending.isoflop_frontier import frontier
from analysis.recommending.next_runs import Information, best_counts, even_counts, propose
from analysis.tables.table import read_table
from scaling.errors import InputError

FLOPS = np.geomspace(1e11, 1e14, 9)


def asked(*arguments):
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def noisy(y, sigma=0.02, seed=0):
    return y * np.exp(sigma * np.random.default_rng(seed).standard_normal(len(y)))


def test_runs_that_bend_towards_chance_get_the_law_that_bends():
    bent = noisy(0.03 + 0.95 / (1 + (FLOPS / 1e12) ** 0.6))
    chosen = default_fit({"C": FLOPS}, bent, np.ones(9), "log_ls", 0.98)
    assert (chosen.law.name, chosen.fixed) == ("saturating", {"K": 0.98})
    straight = noisy(0.03 + 0.75 * (FLOPS / 1e11) ** -0.3)
    assert default_fit({"C": FLOPS}, straight, np.ones(9), "log_ls", 1.0).law.name == "power_floor"


def test_laws_are_ranked_by_their_forecasts():
    y = noisy(0.05 + 0.4 * (FLOPS / 1e11) ** -0.4, 0.01)
    found = ranked_laws({"C": FLOPS}, y, np.ones(9), losses=("log_ls",), at={"C": 1e16})
    errors = [one.calibration.error for one in found if one.calibration is not None]
    assert errors == sorted(errors)
    order = [one.fit.law.name for one in found]
    assert order.index("power_floor") < order.index("power")
    low, high = answer_range(found)
    assert low < high
    assert (low, high) == (min(one.answer for one in found), max(one.answer for one in found))


def test_the_laws_verb_says_how_far_the_answer_spreads(write_study):
    document = asked("laws", write_study(noise=0.02, strategies=("efin",)), "--flops", 1e15)
    assert document["best"] in {"power_floor", "power", "saturating", "smooth_broken"}
    assert document["answer_spread"][0] < document["answer_spread"][1]
    assert {"law", "loss", "forecast_error", "coverage", "aicc", "answer"} <= set(document["laws"][0])


def curve_of(y, flops=FLOPS):
    return curve_through(flops, y, SEPARATE_RUNS)


def test_proposed_runs_stay_in_the_limit_and_say_more_than_an_even_grid():
    curve = curve_of(noisy(0.04 + 0.36 * (FLOPS / 1e11) ** -0.32, 0.05))
    proposal = propose(curve, target_flops=1e15, spend_flops=3e14)
    assert proposal.flops <= 3e14 * (1 + 1e-9)
    log_width = {name: np.log(ends[1] / ends[0]) for name, ends in
                 (("before", proposal.interval_before), ("after", proposal.interval_after),
                  ("even", proposal.even_interval))}  # fmt: skip
    assert log_width["after"] < 0.8 * log_width["before"]
    assert log_width["after"] <= log_width["even"]


def test_the_best_counts_of_a_tiny_design_are_those_of_exhaustive_search():
    curve = curve_of(noisy(0.04 + 0.36 * (FLOPS / 1e11) ** -0.32, 0.05))
    budgets = np.array([1e11, 1e13, 1e14])
    information = Information.of(curve.outlook, 1e15, budgets)
    spend = 2.05e14
    found = information.log_variance(best_counts(information, budgets, spend, most_runs=4))
    every = [np.array([i, j, k]) for i in range(5) for j in range(5) for k in range(3) if i + j + k <= 4]
    best = min(information.log_variance(counts) for counts in every if counts @ budgets <= spend)
    assert found == pytest.approx(best, abs=1e-6)
    assert even_counts(budgets, spend) @ budgets <= spend


def test_a_limit_below_one_run_is_refused():
    with pytest.raises(InputError, match="do not pay one run"):
        propose(curve_of(noisy(0.04 + 0.36 * (FLOPS / 1e11) ** -0.32)), 1e15, 1e10)


def test_a_design_is_checked_before_it_is_paid_for(write_study):
    study = write_study(noise=0.05, seeds=1, strategies=("efin",))
    result = coverage(curves_of(study).curves[0], 1e15, sets=20)
    assert set(result.held) == {"curve_interval", "interval"}
    assert 0.65 <= result.held["curve_interval"] <= 1.0  # binomial(20, 0.9): below 13 once in 2,000
    assert result.width["interval"] > result.width["curve_interval"] > 1.0
    of_law = coverage(fit_curves(read_table(study), law="power_floor").curves[0], 1e15, sets=20)
    assert set(of_law.held) == {"curve_interval", "interval", "calibrated_interval"}
    assert of_law.width["calibrated_interval"] >= of_law.width["interval"] > 1.0


def priced(tmp_path, change, *arguments):
    """What `recommend` says of a table whose runs hold what `change` gives for their FLOPs."""
    rows = [{"flops": flops, "cer": flops**-0.05, **change(flops)} for flops in (1e10, 3e10, 1e11, 3e11)]
    (tmp_path / "runs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return asked("recommend", tmp_path, *arguments, "--hardware", "cpu-core")


def test_a_table_without_steps_is_priced_at_the_devices_speed_and_says_so(tmp_path):
    answer = priced(tmp_path, lambda flops: {}, "--usd", "0.02")
    assert answer["cost"]["usd"] == pytest.approx(0.02)
    assert answer["flops"] == pytest.approx(0.5 * 3600 * 87e9 * answer["cost"]["mfu"])
    assert answer["cost"]["steps"] is None
    assert "the table says neither steps nor what its runs took" in answer["cost"]["basis"]


def test_a_step_takes_its_time_beside_the_matrix_products(tmp_path):
    cost = priced(tmp_path, lambda flops: {"steps": flops * 1e-8}, "--flops", "1e12")["cost"]
    assert cost["steps"] == pytest.approx(10_000)
    assert cost["device_hours"] == pytest.approx((1e12 / (87e9 * cost["mfu"]) + 10_000 * 0.026) / 3600)


@pytest.mark.parametrize("steps", [{}, {"steps": 700}], ids=["without steps", "with steps"])
def test_seconds_that_runs_took_on_such_a_device_decide(tmp_path, steps):
    def took(flops):
        recorded = {"device": "x86_64", "threads": 2}
        return {"seconds": flops * 1e-10, "provenance": recorded, **({"steps": flops * 1e-8} if steps else {})}

    cost = priced(tmp_path, took, "--flops", "1e12")["cost"]
    products, rest = 1e12 / (87e9 * cost["mfu"]), 10_000 * 0.026 if steps else 0.0
    scale = 1e12 * 1e-10 / (products / 2 + rest)  # two threads share the products
    assert cost["device_hours"] == pytest.approx(scale * (products + rest) / 3600)
    assert "as 4 runs of the table took on such a device" in cost["basis"]


def test_seconds_on_another_device_say_nothing(tmp_path):
    elsewhere = {"seconds": 1e9, "provenance": {"device": "NVIDIA H100 80GB HBM3"}, "steps": "many"}
    cost = priced(tmp_path, lambda flops: elsewhere, "--flops", "1e12")["cost"]
    assert cost["device_hours"] == pytest.approx(1e12 / (87e9 * cost["mfu"]) / 3600)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--usd", "5"], "need --hardware"),
        (["--usd", "5", "--flops", "1e12"], "give one of"),
        (["--usd", "5", "--hardware", "h300"], "is not known"),
        ([], "give one of"),
    ],
)
def test_contradicting_limits_are_refused(write_study, arguments, message):
    with pytest.raises(InputError, match=message):
        CliRunner().invoke(app, ["recommend", str(write_study()), *arguments], catch_exceptions=False)


def isoflop(noise, seed=0):
    """Seven sizes at each of seven budgets of a planted law, 6 FLOPs a parameter and token."""
    flops = np.repeat(np.geomspace(1e18, 1e21, 7), 7)
    best = np.sqrt(flops / 6 / 20)
    sizes = best * np.tile(np.geomspace(10**-0.6, 10**0.6, 7), 7)
    errors = 1.8 + 482 * sizes**-0.35 + 2085 * (flops / 6 / sizes) ** -0.37
    return flops, sizes, errors * np.exp(noise * np.random.default_rng(seed).standard_normal(49))


def test_the_best_size_moves_with_compute_as_planted():
    found = frontier(*isoflop(0.002))
    planted = 0.37 / (0.35 + 0.37)
    assert found.joint_exponent == pytest.approx(planted, abs=0.03)
    assert found.exponent_interval[0] < found.exponent < found.exponent_interval[1]
    assert found.exponent == pytest.approx(planted, abs=0.06)
    optimum = (482 * 0.35 / (2085 * 0.37)) ** (1 / 0.72) * (1e21 / 6) ** planted
    assert found.best_size(1e21) == pytest.approx(optimum, rel=0.35)
    assert all(valley.inside for valley in found.valleys)


def test_the_floor_of_a_valley_is_not_the_luckiest_run():
    taken, fitted = [], []
    for seed in range(8):
        flops, sizes, errors = isoflop(0.03, seed)
        truth = isoflop(0.0)[2]
        valleys = frontier(flops, sizes, errors).valleys
        for budget, valley in zip(np.unique(flops), valleys, strict=True):
            taken.append(np.log(errors[flops == budget].min() / truth[flops == budget].min()))
            fitted.append(np.log(valley.error / truth[flops == budget].min()))
    assert np.mean(taken) < -0.02
    assert abs(np.mean(fitted)) < 0.012


def test_few_sizes_make_no_frontier():
    flops, sizes, errors = isoflop(0.0)
    with pytest.raises(InputError, match="0 budgets with at least 4 model sizes"):
        frontier(flops[::3], sizes[::3], errors[::3])
