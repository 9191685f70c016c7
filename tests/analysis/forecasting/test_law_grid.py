import numpy as np
import pytest

from analysis.forecasting.law_grid import BENDS, laws_below

LOG_FLOPS = np.linspace(-6.0, 4.0, 11)


def test_every_law_of_the_grid_obeys_its_equation() -> None:
    laws = laws_below(0.2)
    level = np.linspace(-3.0, 3.0, len(laws.floor_G))
    error = np.exp(laws.log_errors(level, LOG_FLOPS)[0])
    bent = laws.bend_G > 0.0
    below_chance = np.where(bent, 1.0 - error, 1.0)
    seen = (error > laws.floor_G + 1e-9) & (below_chance > 1e-9)
    above_floor = np.where(seen, error - laws.floor_G, 1.0)
    left = np.log(above_floor) - laws.bend_G * np.log(np.where(seen, below_chance, 1.0))
    right = level - laws.exponent_G * LOG_FLOPS[:, None]
    assert np.abs(left - right)[seen].max() < 1e-4
    assert seen.mean() > 0.8


def test_the_slope_by_the_level_is_the_derivative() -> None:
    laws = laws_below(0.3)
    level = np.linspace(-2.0, 2.0, len(laws.floor_G))
    slope = laws.log_errors(level, LOG_FLOPS)[1]
    step = 1e-3
    differences = (laws.log_errors(level + step, LOG_FLOPS)[0] - laws.log_errors(level - step, LOG_FLOPS)[0]) / (
        2 * step
    )
    assert slope == pytest.approx(differences, abs=2e-4, rel=2e-3)


def test_bent_laws_stay_below_chance_and_above_their_floor() -> None:
    laws = laws_below(0.2)
    error = np.exp(laws.log_errors(np.full(len(laws.floor_G), 2.0), LOG_FLOPS)[0])
    assert (error[:, laws.bend_G > 0.0] <= 1.0).all()
    assert (error >= laws.floor_G).all()
    assert (np.diff(error, axis=0) <= 0.0).all()


@pytest.mark.parametrize("log_error", [-4.0, -1.0, -0.05])
def test_a_law_passes_where_its_level_was_asked_to(log_error: float) -> None:
    laws = laws_below(float(np.exp(log_error)))
    value = laws.log_errors(laws.level_at(log_error), np.zeros(1))[0][0]
    assert value == pytest.approx(np.full(len(value), log_error), abs=1e-3)


def test_the_grid_holds_the_power_law_and_the_logistic_curve() -> None:
    assert 0.0 in BENDS
    assert 1.0 in BENDS
