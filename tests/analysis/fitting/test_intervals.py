"""Intervals against brute force, and in short simulations; the long ones are
tests/benchmarks/bench_fitting_coverage.py.
"""

import csv
import json
import time

import numpy as np
import pytest

import analysis
from analysis.curves.curve_fitting import fit_curves
from analysis.curves.curves import Curve
from analysis.curves.predict import predict
from analysis.fitting.backtest import calibrate
from analysis.fitting.bootstrap import wild_refits
from analysis.fitting.cluster_noise import SharedNoise
from analysis.fitting.intervals import interval, percentiles
from analysis.fitting.student_t import t_quantile
from analysis.tables.table import read_table
from scaling.errors import InputError

FLOPS = np.geomspace(1e18, 1e21, 12)
BEYOND = np.array([1e22, 1e23])


def planted(flops, floor=0.05, exponent=0.3):
    return floor + 0.35 * (flops / 1e18) ** -exponent


def noisy(seed, flops=FLOPS, sigma=0.05, **law):
    return planted(flops, **law) * np.exp(sigma * np.random.default_rng(seed).standard_normal(len(flops)))


@pytest.mark.parametrize("floor", [0.05, 0.0])
def test_profile_ends_lie_where_a_brute_force_profile_meets_the_cut(floor):
    y = noisy(5, floor=floor)
    fitted = analysis.fit(columns={"C": FLOPS}, y=y)
    dof = len(FLOPS) - 3
    cut = fitted.objective * (1 + t_quantile(0.95, dof) ** 2 / dof)
    for end in np.ravel(interval(fitted, {"C": [1e22]})):
        assert brute_profile(y, 1e22, end) == pytest.approx(cut, rel=0.02)


def brute_profile(y, at, value):
    """The least squares of log errors over floors and exponents with the curve through (at, value), by grids."""
    z, best = np.log(FLOPS / at), np.inf
    low, high, floors = 1e-3, 2.0, (0.0, value)
    for _ in range(7):  # the valley is diagonal: zoom slowly
        exponents = np.linspace(low, high, 200)[:, None, None]
        grid = np.linspace(*floors, 200)[None, :, None]
        cost = (np.log(y / (grid + (value - grid) * np.exp(-exponents * z))) ** 2).sum(-1)
        i, j = np.unravel_index(np.argmin(cost), cost.shape)
        best = min(best, cost[i, j])
        step, floor_step = (high - low) / 5, (floors[1] - floors[0]) / 5
        low, high = max(1e-3, exponents[i, 0, 0] - step), exponents[i, 0, 0] + step
        floors = (max(0.0, grid[0, j, 0] - floor_step), min(value, grid[0, j, 0] + floor_step))
    return best


@pytest.mark.parametrize(("floor", "exponent"), [(0.05, 0.3), (0.03, 0.15), (0.0, 0.2)])
def test_nominal_90_percent_intervals_hold_about_90_percent(floor, exponent):
    hits, new_hits, sets = np.zeros(2), np.zeros(2), 30
    for seed in range(sets):
        fitted = analysis.fit(columns={"C": FLOPS}, y=noisy([seed, 1], floor=floor, exponent=exponent))
        truth = planted(BEYOND, floor, exponent)
        low, high = interval(fitted, {"C": BEYOND})
        hits += (low <= truth) & (truth <= high)
        low, high = interval(fitted, {"C": BEYOND}, kind="new_run")
        run = truth * np.exp(0.05 * np.random.default_rng([seed, 2]).standard_normal(2))
        new_hits += (low <= run) & (run <= high)
    assert (hits >= 22).all()  # binomial(30, 0.88): below 22 once in 150
    assert (new_hits >= 22).all()
    assert hits.sum() < 2 * sets


def test_points_that_share_a_trunk_are_not_counted_as_independent():
    hits, ignored, sets = 0, 0, 24
    flops, trunk = np.geomspace(1e18, 1e21, 30), np.repeat(np.arange(6), 5)
    for seed in range(sets):
        rng = np.random.default_rng([seed, 3])
        noise = 0.04 * rng.standard_normal(6)[trunk] + 0.03 * rng.standard_normal(30)
        y = planted(flops) * np.exp(noise)
        for clusters in (trunk.tolist(), None):
            low, high = interval(analysis.fit(columns={"C": flops}, y=y, clusters=clusters), {"C": [1e22]})
            held = bool(low[0] <= planted(1e22) <= high[0])
            hits, ignored = hits + (held and clusters is not None), ignored + (held and clusters is None)
    assert hits >= 17  # binomial(24, 0.88): below 17 once in 100
    assert ignored < hits


def test_a_robust_loss_has_an_interval_too():
    y = noisy(4, flops=np.geomspace(1e18, 1e21, 40))
    fitted = analysis.fit(columns={"C": np.geomspace(1e18, 1e21, 40)}, y=y, loss="log_huber")
    low, high = interval(fitted, {"C": BEYOND})
    run_low, run_high = interval(fitted, {"C": BEYOND}, kind="new_run")
    assert (run_low < low).all()
    assert (low < planted(BEYOND)).all()
    assert (planted(BEYOND) < high).all()
    assert (high < run_high).all()


def test_the_wild_bootstrap_agrees_with_the_profile_where_the_law_is_well_identified():
    flops = np.geomspace(1e18, 1e22, 60)
    fitted = analysis.fit(columns={"C": flops}, y=noisy(8, flops))
    value, _ = fitted.law.evaluate(fitted.logs({"C": [1e22]}), wild_refits(fitted))
    low, high = percentiles(np.log(value[:, 0]))
    profile = np.log(interval(fitted, {"C": [1e22]}))
    assert high - low == pytest.approx((profile[1] - profile[0])[0], rel=0.3)


def test_a_thousand_refits_take_less_than_a_second(shared_data):
    with (shared_data / "epoch_chinchilla.csv").open() as file:
        rows = sorted(csv.DictReader(file), key=lambda row: float(row["loss"]))[:-5]
    columns = {name: np.array([float(row[name]) for row in rows]) for name in ("N", "D")}
    fitted = analysis.fit("chinchilla", columns, [float(row["loss"]) for row in rows], loss="log_huber")
    start = time.process_time()
    wild_refits(fitted, draws=1000)
    assert time.process_time() - start < 3.0  # 0.3 to 0.6 s on an idle core; the rest is for a busy machine


def test_the_backtest_widens_the_interval_of_a_law_that_is_wrong():
    flops = np.geomspace(1e18, 1e21, 14)
    bent = (
        planted(flops)
        * np.exp(0.02 * np.log(flops / 1e18) ** 2 / 4)
        * np.exp(0.003 * np.random.default_rng(0).standard_normal(14))
    )
    right = analysis.fit("power", {"C": flops}, 0.3 * (flops / 1e18) ** -0.2 * noisy(1, flops, 0.01) / planted(flops))
    wrong = analysis.fit("power", {"C": flops}, bent)
    assert calibrate(right).factor < 2.2
    assert calibrate(wrong).factor > 1.5
    assert calibrate(wrong).held < calibrate(right).held
    plain = interval(wrong, {"C": [1e22]}, kind="new_run")
    widened = calibrate(wrong).widened(wrong, {"C": [1e22]}, plain)
    assert widened[0] < plain[0]
    assert widened[1] > plain[1]


def test_an_interval_that_its_own_forecasts_deny_is_said_to_be_too_short():
    flops = np.geomspace(1e18, 1e21, 14)
    bend = np.exp(0.005 * np.log(flops / 1e18) ** 2 + 0.003 * np.random.default_rng(0).standard_normal(14))
    codes = {}
    for name, law, y in (("wrong", "power", planted(flops) * bend), ("right", "power_floor", noisy(1, flops, 0.02))):
        fitted = analysis.fit(law, {"C": flops}, y)
        curve = Curve(strategy="s", encoder=None, llm=None, fit=fitted, calibration=calibrate(fitted),
                      domain={"C": (1e18, 1e21)}, notes=())  # fmt: skip
        codes[name] = {note.code for note in predict(curve, 1e22).warnings}
    assert "interval_too_short" in codes["wrong"]
    assert "interval_too_short" not in codes["right"]


def test_the_inflation_of_a_mean_is_that_of_clustered_samples():
    noise = SharedNoise.of(np.repeat(np.arange(6), 5).tolist(), ratio=2.0)
    mean, contrast = np.ones((30, 1)), np.tile([-2.0, -1.0, 0.0, 1.0, 2.0], 6)[:, None]
    assert noise.inflation(mean, np.ones(1), efficiency=1.0) == pytest.approx((1.0 + 2.0 * 5) / (1.0 + 2.0))
    assert noise.inflation(contrast, np.ones(1), efficiency=1.0) == pytest.approx(1.0 / (1.0 + 2.0))


def test_intervals_of_robust_fits_respect_clusters():
    flops, trunk = np.geomspace(1e18, 1e21, 30), np.repeat(np.arange(6), 5)
    held, widths = {"clusters": 0, "none": 0}, []
    for seed in range(20):
        rng = np.random.default_rng([seed, 8])
        noise = 0.04 * rng.standard_normal(6)[trunk] + 0.02 * rng.standard_normal(30)
        ends = {}
        for name, labels in (("clusters", trunk.tolist()), ("none", None)):
            fitted = analysis.fit(
                columns={"C": flops}, y=planted(flops) * np.exp(noise), loss="log_huber", clusters=labels
            )
            low, high = interval(fitted, {"C": [1e21]})
            ends[name] = np.log(high[0] / low[0])
            held[name] += low[0] <= planted(1e21) <= high[0]
        widths.append(ends["clusters"] / ends["none"])
    assert held["clusters"] >= 14  # binomial(20, 0.88): below 14 once in 100
    assert held["clusters"] > held["none"]
    assert np.median(widths) > 1.4


def test_calibrated_intervals_hold_real_forecasts(shared_data):
    with (shared_data / "open_athena_isoflops.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["outlier"] != "True"]
    for name in ("llama_3__raw_loss", "marin_202603__comma__llama_2"):
        points = np.array([[float(row[key]) for key in ("params", "tokens", "loss", "budget")] for row in rows
                           if row["experiment"] == name])  # fmt: skip
        last = points[:, 3] >= np.unique(points[:, 3])[-2]
        fitted = analysis.fit("chinchilla", {"N": points[~last, 0], "D": points[~last, 1]}, points[~last, 2])
        held_out = {"N": points[last, 0], "D": points[last, 1]}
        held, width = {}, {}
        plain = interval(fitted, held_out, kind="new_run")
        calibrated = calibrate(fitted).widened(fitted, held_out, plain)
        for method, (low, high) in {"plain": plain, "calibrated": calibrated}.items():
            held[method] = np.mean((low <= points[last, 2]) & (points[last, 2] <= high))
            width[method] = np.mean(np.log(high / low))
        assert held["plain"] < 0.5
        assert held["calibrated"] >= 0.7
        assert width["calibrated"] <= 3.0001 * width["plain"]


def test_t_quantiles_are_those_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    for dof in (1, 2, 3, 7, 12, 45, 200):
        for probability in (0.6, 0.9, 0.95, 0.995):
            assert t_quantile(probability, dof) == pytest.approx(stats.t.ppf(probability, dof), rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"level": 1.5}, "level: 1.5"), ({"kind": "both"}, "kind: 'both'")],
)
def test_wrong_questions_are_named(arguments, message):
    fitted = analysis.fit(columns={"C": FLOPS}, y=noisy(0))
    with pytest.raises(InputError, match=message):
        interval(fitted, {"C": [1e22]}, **arguments)


def seeded_table(tmp_path, seed, trunks):
    """Three seeds of eight budgets whose common noise is 4 %, their own 3 %; with or without the trunk's name."""
    rng = np.random.default_rng([seed, 4])
    flops, noise = np.geomspace(1e18, 1e21, 8), 0.04 * rng.standard_normal(3)
    errors = planted(flops)[:, None] * np.exp(noise + 0.03 * rng.standard_normal((8, 3)))
    file = tmp_path / "runs.jsonl"
    file.write_text("".join(
        json.dumps({"flops": flops[i], "budget_flops": flops[i], "cer": errors[i, j], "seed": j,
                    "cluster": f"trunk {j}" if trunks else None}) + "\n" for i in range(8) for j in range(3)
    ))  # fmt: skip
    return read_table(file)


def test_budgets_cut_from_one_trunk_widen_the_interval_by_the_seeds_common_noise(tmp_path):
    held, ignored = 0, 0
    for seed in range(20):
        for trunks in (True, False):
            fitted = fit_curves(seeded_table(tmp_path, seed, trunks), law="power_floor").curves[0].fit
            assert fitted.n == 8
            low, high = interval(fitted, {"C": [1e21]})
            truth = low[0] <= planted(1e21) <= high[0]
            held, ignored = held + (truth and trunks), ignored + (truth and not trunks)
    assert held >= 14  # binomial(20, 0.88): below 14 once in 100
    assert ignored < held


def test_one_trunk_alone_is_remarked_on(tmp_path):
    table = seeded_table(tmp_path, 0, trunks=True)
    one_seed = table.select([i for i, row in enumerate(table.rows) if row["seed"] == 0])
    codes = [{note.code for note in fit_curves(one_seed, law).curves[0].notes} for law in ("power_floor", None)]
    assert "one_trunk" in codes[0]
    assert codes[1] & {"one_trunk", "one_seed", "no_seed_variation"} == {"one_seed"}


def test_points_with_few_errors_weigh_less_and_their_runs_scatter_more(tmp_path):
    rng, flops, chars = np.random.default_rng(0), np.geomspace(1e18, 1e22, 9), 1500
    rows = []
    for i, rate in enumerate(0.01 + 0.35 * (flops / 1e18) ** -0.5):
        for seed in range(4):
            errors = int(rng.poisson(rate * chars * np.exp(0.03 * rng.standard_normal())))
            rows.append({"flops": flops[i], "cer": errors / chars, "seed": seed, "errors": errors, "ref_chars": chars})
    file = tmp_path / "runs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (curve,) = fit_curves(read_table(file), law="power_floor").curves
    assert 0.01 <= np.sqrt(curve.noise.run_variance) <= 0.06
    assert curve.fit.weights[0] > 5 * curve.fit.weights[-1]
    early, late = predict(curve, 1e18), predict(curve, 1e22)
    scatter = [np.log(one.interval[1] / one.interval[0]) for one in (early, late)]
    assert scatter[1] > 2 * scatter[0]
    assert scatter[1] > 2 * 1.645 * np.sqrt(1 / 15) * 0.7  # some 15 errors are left at the largest budget
