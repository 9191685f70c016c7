"""Likelihoods against the multivariate normal density, written out for laws that are straight in logs."""

import numpy as np
import pytest

from analysis.forecasting import evidence
from analysis.forecasting.evidence import LEVEL_SD, SCALES, TRUNK_SHARE, CurveRuns, Evidence

FLOPS = np.array([1e10, 2e10, 5e10, 1e11, 4e11])
ERRORS = np.array([0.5, 0.41, 0.3, 0.22, 0.15])


def runs(flops: np.ndarray = FLOPS, errors: np.ndarray = ERRORS, **more: np.ndarray) -> CurveRuns:
    return CurveRuns(**{"flops_N": flops, "errors_N": errors, "counting_variance_N": np.zeros(len(flops)), **more})


def random_walk(places: np.ndarray) -> np.ndarray:
    """The covariance of an integrated random walk, summed over small steps."""
    steps = np.linspace(0.0, places.max(), 20_001)
    middle, width = (steps[1:] + steps[:-1]) / 2.0, steps[1] - steps[0]
    reach = np.maximum(places[:, None] - middle, 0.0)
    return reach @ reach.T * width


def straight_laws(found: Evidence) -> np.ndarray:
    """Power laws without floor: their log errors are linear in the level, so that nothing is approximated."""
    return np.flatnonzero((found.laws.bend_G == 0.0) & (found.laws.floor_G == 0.0))


def normal_log_density(residual: np.ndarray, covariance: np.ndarray) -> float:
    return float(-0.5 * residual @ np.linalg.solve(covariance, residual) - 0.5 * np.linalg.slogdet(covariance)[1])


@pytest.mark.parametrize("trunks", [None, np.array([0, 1, 0, 1, 0])], ids=["alone", "trunks"])
def test_likelihoods_are_those_of_a_law_plus_a_random_walk_plus_noise(trunks: np.ndarray | None) -> None:
    counting = np.array([0.0, 0.01, 0.0, 0.02, 0.03]) ** 2
    found = Evidence(runs(counting_variance_N=counting, trunks_N=trunks))
    x = np.log(FLOPS / FLOPS[-1])
    walk = random_walk(x - x[0])
    laws = straight_laws(found)
    same = np.zeros((5, 5)) if trunks is None else (trunks[:, None] == trunks) * 1.0
    share = 0.0 if trunks is None else TRUNK_SHARE
    for j in range(0, len(SCALES), 7):
        misfit, noise = SCALES[j]
        covariance = misfit**2 * walk + noise**2 * ((1.0 - share) * np.eye(5) + share * same) + np.diag(counting)
        expected = []
        for law in laws:
            centre = found.level_G[law] - found.laws.exponent_G[law] * x
            expected.append(normal_log_density(np.log(ERRORS) - centre, covariance + LEVEL_SD**2 * np.ones((5, 5))))
        assert found.log_likelihood_GJ[laws, j] == pytest.approx(expected, rel=1e-4, abs=1e-3)


def test_runs_in_bins_are_worth_as_much_as_runs_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """At equal FLOPs, where averaging loses nothing: differences between components are the same."""
    draw = np.random.default_rng(1)
    flops, errors = np.repeat(FLOPS, 8), np.repeat(ERRORS, 8) * np.exp(draw.normal(0.0, 0.05, 40))
    apart = Evidence(runs(flops, errors))
    monkeypatch.setattr(evidence, "MOST_POINTS", 39)
    binned = Evidence(runs(flops, errors))
    laws = straight_laws(apart)
    assert len(binned.x_N) == 5
    likelihoods = [found.log_likelihood_GJ[straight_laws(found)][:, 9:] for found in (apart, binned)]
    floors = [found.laws.floor_G.max() for found in (apart, binned)]
    assert floors[0] < floors[1]  # a floor is a share of the smallest error, and a bin's is a mean
    assert likelihoods[0] - likelihoods[0].max() == pytest.approx(
        likelihoods[1] - likelihoods[1].max(), rel=2e-3, abs=0.05
    )
    assert len(laws) == len(likelihoods[0])


def test_a_run_at_chance_says_little() -> None:
    """A run that scores 1.3 because it inserts moves the other runs' laws less than one that scores .9."""
    flops, tail = np.array([1e9, 1e10, 2e10, 4e10, 8e10]), [0.6, 0.45, 0.33, 0.24]
    best = []
    for first in (1.0, 1.3):
        likelihood = Evidence(runs(flops, np.array([first, *tail]))).log_likelihood_GJ.max(1)
        best.append(int(likelihood.argmax()))
    assert best[0] == best[1]
