import json

import numpy as np
import pytest
from planted import curve_through

from analysis.forecasting.outlook import Outlook
from analysis.forecasting.prior import ONE_TRAINING, SEPARATE_RUNS

FLOPS = np.geomspace(1e18, 1e20, 6)


def errors(seed: int, noise: float = 0.08) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return (0.03 + 0.3 * (FLOPS / 1e18) ** -0.3) * np.exp(draw.normal(0.0, noise, len(FLOPS)))


def outlook(seed: int, **more: float | None) -> Outlook:
    found = curve_through(FLOPS, errors(seed), SEPARATE_RUNS).outlook
    assert found is not None
    return Outlook(**{**vars(found), **more}) if more else found


@pytest.mark.parametrize("seed", range(8))
def test_no_end_rises_with_flops_and_a_new_run_is_never_known_better_than_its_curve(seed: int) -> None:
    asked = np.geomspace(1e20, 1e24, 61)
    found = outlook(seed)
    low, high = found.ends(asked, 0.9)
    run_low, run_high = found.run_ends(asked, 0.9)
    for end in (low, high, run_low, run_high, found.median(asked)):
        assert (np.diff(end) <= 0.0).all()
    assert (run_low <= low).all()
    assert (run_high >= high).all()


def test_a_question_alone_is_answered_as_among_others() -> None:
    asked = np.array([2e17, 3.3e19, 5e20, 7e22])
    found = outlook(1)
    together = np.stack([*found.run_ends(asked, 0.9), found.median(asked)])
    alone = [np.stack([*found.run_ends(asked[i : i + 1], 0.9), found.median(asked[i : i + 1])]) for i in range(4)]
    assert together == pytest.approx(np.concatenate(alone, axis=1), rel=1e-3)


def test_a_small_test_set_widens_the_interval_of_a_run_and_not_of_the_curve() -> None:
    asked = np.array([1e21])
    small, large = outlook(2, ref_chars=100.0), outlook(2, ref_chars=1e8)
    widths = [np.log(high / low) for low, high in (each.run_ends(asked, 0.9) for each in (small, large))]
    assert widths[0] > 1.2 * widths[1]
    assert small.ends(asked, 0.9)[1] == pytest.approx(large.ends(asked, 0.9)[1])
    assert small.resolution == pytest.approx(0.5 / 100)


def test_repetition_beyond_the_runs_lengthens_the_lower_arm_in_proportion_and_the_upper_to_the_largest_run() -> None:
    asked = np.array([1e21])
    plain, repeated = outlook(3), outlook(3, passes=4.0)
    arms = [np.log(each.median(asked) / each.ends(asked, 0.9)[0]) for each in (plain, repeated)]
    assert arms[1] == pytest.approx(10.0 * arms[0], rel=0.05)
    assert plain.ends(asked, 0.9)[1] < repeated.ends(asked, 0.9)[1] <= repeated.ends(FLOPS[-1:], 0.9)[1] * (1.0 + 1e-9)
    few = outlook(3, passes=0.3)
    assert few.ends(asked, 0.9)[1] == pytest.approx(plain.ends(asked, 0.9)[1])


def test_a_stored_outlook_comes_back() -> None:
    found = outlook(4, ref_chars=5000.0)
    again = Outlook.from_dict(json.loads(json.dumps(found.as_dict())))
    assert again.run_ends(FLOPS * 10, 0.9)[0] == pytest.approx(found.run_ends(FLOPS * 10, 0.9)[0])


def test_an_error_expected_over_an_uncertain_curve_is_above_its_median() -> None:
    found = outlook(5, scale=0.5)
    far = 1e22
    assert found.expected_error(far) > float(found.median(np.array([far]))[0])
    assert found.expected_error(far) <= 0.5


def test_draws_have_the_quantiles_of_the_curve() -> None:
    found, asked = outlook(6), np.array([1e20, 1e21])
    drawn = found.draw(asked, 20_000, np.random.default_rng(0))
    low, high = found.ends(asked, 0.9)
    assert np.exp(np.quantile(drawn, 0.05, axis=1)) == pytest.approx(low, rel=0.03)
    assert np.exp(np.quantile(drawn, 0.95, axis=1)) == pytest.approx(high, rel=0.03)


def test_neighbours_of_one_training_are_worth_less_than_independent_runs() -> None:
    from dataclasses import replace

    from analysis.forecasting.evidence import CurveRuns, Evidence, neighbours
    from analysis.forecasting.posterior import Posterior
    from analysis.forecasting.predictive import Predictive

    flops = np.geomspace(1e18, 1e20, 40)
    draw = np.random.default_rng(7)
    runs = CurveRuns(
        flops_N=flops,
        errors_N=0.3 * (flops / 1e18) ** -0.3 * np.exp(draw.normal(0.0, 0.05, 40)),
        counting_variance_N=np.zeros(40),
    )
    together = replace(runs, trunks_N=neighbours(flops))
    widths = []
    for each in (runs, together):
        found = Predictive(each, Posterior(Evidence(each), ONE_TRAINING).components())
        widths.append(found.predict(np.array([1e21]), new_run=False).sd()[0])
    assert widths[1] > 1.2 * widths[0]
