import numpy as np
import pytest

from analysis.forecasting.evidence import CurveRuns, Evidence
from analysis.forecasting.pooling import pooled_priors
from analysis.forecasting.posterior import Posterior
from analysis.forecasting.predictive import Predictive
from analysis.forecasting.prior import AXES, SEPARATE_RUNS

FLOPS = np.geomspace(1e10, 1e12, 7)


def runs(errors: np.ndarray, flops: np.ndarray = FLOPS) -> CurveRuns:
    return CurveRuns(flops_N=flops, errors_N=errors, counting_variance_N=np.zeros(len(flops)))


def evidence(errors: np.ndarray) -> Evidence:
    return Evidence(runs(errors))


def logistic(start: float) -> np.ndarray:
    return 1.0 / (1.0 + (FLOPS / start) ** 0.8)


def test_a_curve_alone_keeps_the_base() -> None:
    (prior,) = pooled_priors([evidence(logistic(1e11))], SEPARATE_RUNS)
    for axis in AXES:
        assert getattr(prior, axis) == pytest.approx(getattr(SEPARATE_RUNS, axis))


def test_every_axis_of_a_pooled_prior_sums_to_one() -> None:
    for prior in pooled_priors([evidence(logistic(start)) for start in (5e10, 1e11, 2e11)], SEPARATE_RUNS):
        for axis in AXES:
            assert getattr(prior, axis).sum() == pytest.approx(1.0)


def test_a_short_curve_learns_from_long_ones_and_nothing_from_itself() -> None:
    given = runs(logistic(1.5e11)[:3] * np.array([1.0, 0.98, 1.02]), FLOPS[:3])
    short = Evidence(given)
    others = [evidence(logistic(start)) for start in np.geomspace(4e10, 4e11, 8)]
    truth, densities = np.log(logistic(1.5e11)[-1:]), []
    for prior in (SEPARATE_RUNS, pooled_priors([short, *others], SEPARATE_RUNS)[0]):
        found = Predictive(given, Posterior(short, prior).components())
        densities.append(found.predict(FLOPS[-1:], new_run=False).density(truth)[0])
    assert densities[1] > 1.2 * densities[0]
    prior_without = pooled_priors([evidence(logistic(1e11)), *others], SEPARATE_RUNS)[0]
    prior_with = pooled_priors([short, *others], SEPARATE_RUNS)[0]
    assert prior_with.floor == pytest.approx(prior_without.floor)


def test_curves_that_agree_share_more_than_curves_that_do_not() -> None:
    """The prior of a curve is sharper on the exponent where the others have one than where each has its own."""

    def spread(exponents: np.ndarray) -> float:
        curves = [evidence(0.5 * (FLOPS / FLOPS[0]) ** -exponent) for exponent in (0.4, *exponents)]
        prior = pooled_priors(curves, SEPARATE_RUNS)[0].exponent
        place = np.arange(len(prior))
        return float(np.sqrt(prior @ place**2 - (prior @ place) ** 2))

    assert spread(np.full(8, 0.4)) < 0.7 * spread(np.geomspace(0.08, 2.0, 8))
