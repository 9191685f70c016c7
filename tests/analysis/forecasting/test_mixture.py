import numpy as np
import pytest

from analysis.forecasting.mixture import Mixture


def test_one_component_has_the_quantiles_of_the_normal_distribution() -> None:
    mixture = Mixture(np.ones(1), np.array([[1.0], [5.0]]), np.array([[2.0], [0.5]]))
    assert mixture.quantile(0.95) == pytest.approx([1.0 + 2.0 * 1.6448536, 5.0 + 0.5 * 1.6448536], abs=1e-4)
    assert mixture.quantile(0.5) == pytest.approx([1.0, 5.0], abs=1e-4)


def test_two_components_are_weighed() -> None:
    mixture = Mixture(np.array([0.25, 0.75]), np.array([[-10.0, 10.0]]), np.array([[1.0, 1.0]]))
    assert mixture.share_below(np.zeros(1)) == pytest.approx([0.25])
    assert mixture.quantile(0.125) == pytest.approx([-10.0], abs=1e-3)
    assert mixture.quantile(0.625) == pytest.approx([10.0], abs=1e-3)


def test_quantiles_and_shares_are_inverse_and_the_density_is_their_slope() -> None:
    draw = np.random.default_rng(0)
    mixture = Mixture(np.full(40, 1 / 40), draw.normal(size=(3, 40)), draw.uniform(0.1, 2.0, (3, 40)))
    for share in (0.01, 0.3, 0.9):
        at = mixture.quantile(share)
        assert mixture.share_below(at) == pytest.approx(np.full(3, share), abs=1e-6)
        slope = (mixture.share_below(at + 1e-2) - mixture.share_below(at - 1e-2)) / 2e-2
        assert mixture.density(at) == pytest.approx(slope, rel=1e-3)
