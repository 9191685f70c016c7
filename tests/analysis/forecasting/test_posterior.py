import numpy as np
import pytest

from analysis.forecasting.evidence import CurveRuns, Evidence
from analysis.forecasting.posterior import Posterior
from analysis.forecasting.predictive import Predictive
from analysis.forecasting.prior import ONE_TRAINING, SEPARATE_RUNS, Prior

FLOPS = np.geomspace(1e10, 1e12, 6)
FAR = np.array([2e12, 4e12, 1e13])


def runs(errors: np.ndarray, flops: np.ndarray = FLOPS) -> CurveRuns:
    return CurveRuns(flops_N=flops, errors_N=errors, counting_variance_N=np.zeros(len(flops)))


def predictive(errors: np.ndarray, flops: np.ndarray = FLOPS, prior: Prior = SEPARATE_RUNS) -> Predictive:
    given = runs(errors, flops)
    return Predictive(given, Posterior(Evidence(given), prior).components())


def planted(draw: np.random.Generator, flops: np.ndarray, noise: float) -> np.ndarray:
    return (0.02 + 0.3 * (flops / 1e10) ** -0.3) * np.exp(draw.normal(0.0, noise, len(flops)))


def test_nine_in_ten_new_runs_of_a_planted_law_lie_in_the_interval() -> None:
    draw, held = np.random.default_rng(0), []
    for _ in range(120):
        found = predictive(planted(draw, FLOPS, 0.04)).predict(FAR, new_run=True)
        truth = np.log(planted(draw, FAR, 0.04))
        held.append((found.quantile(0.05) <= truth) & (truth <= found.quantile(0.95)))
    shares = np.mean(held, axis=0)
    assert (shares > 0.84).all(), shares
    assert shares[0] < 0.99, shares


def test_intervals_widen_with_distance_and_hold_each_other() -> None:
    asked = np.geomspace(1e12, 1e15, 13)
    found = predictive(planted(np.random.default_rng(1), FLOPS, 0.03))
    run, curve = found.predict(asked, new_run=True), found.predict(asked, new_run=False)
    near = asked < 1e14
    assert (run.quantile(0.05) < curve.quantile(0.05))[near].all()
    assert (run.quantile(0.95) > curve.quantile(0.95))[near].all()
    assert (np.diff(run.quantile(0.95) - run.quantile(0.05)) > 0.0).all()


def test_draws_of_whole_curves_have_the_quantiles_of_the_prediction() -> None:
    found = predictive(planted(np.random.default_rng(2), FLOPS, 0.05))
    curves = found.draw(FAR, 20_000, np.random.default_rng(3))
    mixture = found.predict(FAR, new_run=False)
    for share in (0.1, 0.5, 0.9):
        assert np.quantile(curves, share, axis=0) == pytest.approx(mixture.quantile(share), abs=0.03)


def test_a_curve_that_leaves_chance_late_is_not_a_power_law() -> None:
    errors = 1.0 / (1.0 + (FLOPS / 2e11) ** 1.0)
    bend = Posterior(Evidence(runs(errors)), ONE_TRAINING).marginals()["bend"]
    assert bend.argmax() == 3  # 1.0: logistic
    assert bend[0] < 0.01
    errors = 0.5 * (FLOPS / FLOPS[0]) ** -0.25
    assert Posterior(Evidence(runs(errors)), ONE_TRAINING).marginals()["bend"][:2].sum() > 0.6


def test_three_points_get_an_answer_that_is_wide() -> None:
    few, many = (
        predictive(np.array([0.4, 0.3, 0.22]), FLOPS[:3]),
        predictive(planted(np.random.default_rng(4), FLOPS, 0.0)),
    )
    widths = []
    for found, largest in ((few, FLOPS[2]), (many, FLOPS[-1])):
        mixture = found.predict(np.array([10 * largest]), new_run=True)
        widths.append(float(mixture.quantile(0.95)[0] - mixture.quantile(0.05)[0]))
    assert np.isfinite(widths).all()
    assert widths[0] > 1.5 * widths[1]


def test_a_unit_of_flops_changes_no_answer() -> None:
    errors = planted(np.random.default_rng(5), FLOPS, 0.03)
    in_flops = predictive(errors).predict(FAR, new_run=True)
    in_exaflops = predictive(errors, FLOPS / 1e18).predict(FAR / 1e18, new_run=True)
    assert in_flops.quantile(0.05) == pytest.approx(in_exaflops.quantile(0.05), abs=1e-9)


def test_scatter_is_learnt_from_runs_at_the_same_budget() -> None:
    draw, widths = np.random.default_rng(6), []
    flops = np.repeat(FLOPS, 3)
    for noise in (0.01, 0.2):
        found = predictive(planted(draw, flops, noise), flops).predict(FAR[:1], new_run=True)
        widths.append(float(found.quantile(0.95)[0] - found.quantile(0.05)[0]))
    assert widths[1] > 3 * widths[0]
