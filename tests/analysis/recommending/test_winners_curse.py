"""The luck of the chosen: strategies that are equal, one of which looks best."""

import numpy as np

import analysis
from analysis.curves.curves import Curve, lowest
from analysis.fitting.intervals import interval
from analysis.recommending.winners_curse import winners_curse

FLOPS = np.geomspace(1e11, 1e14, 9)
TARGET = 1e15


def truth(flops):
    return 0.04 + 0.36 * (np.asarray(flops) / 1e11) ** -0.32


def curve(name, rng, sigma=0.05, factor=1.0):
    fitted = analysis.fit(columns={"C": FLOPS}, y=factor * truth(FLOPS) * np.exp(sigma * rng.standard_normal(9)))
    ends = {"C": (float(FLOPS[0]), float(FLOPS[-1]))}
    return Curve(strategy=name, encoder=None, llm=None, fit=fitted, calibration=None, domain=ends, notes=())


def test_the_interval_in_spite_of_the_choice_holds_where_the_plain_one_does_not():
    asked, plain, kept, lucks, misses = float(truth(TARGET)), 0, 0, [], []
    sets = 40
    for seed in range(sets):
        rng = np.random.default_rng([5, seed])
        curves = [curve(f"s{i}", rng) for i in range(7)]
        best = lowest(curves, TARGET)
        found = winners_curse(best, [(one, TARGET) for one in curves])
        low, high = (float(end[0]) for end in interval(best.fit, {"C": [TARGET]}))
        plain += low <= asked <= high
        kept += found.interval[0] <= asked <= found.interval[1]
        lucks.append(np.log1p(found.bias))
        misses.append(np.log(asked / best.cer(TARGET)))
    assert plain < 0.8 * sets
    assert kept > 0.82 * sets
    assert np.mean(misses) > 0.05
    assert 0.3 * np.mean(misses) < np.mean(lucks) < 1.5 * np.mean(misses)


def test_a_clear_winner_has_no_contender():
    rng = np.random.default_rng(0)
    best, far = curve("best", rng, 0.01), curve("far", rng, 0.01, factor=3.0)
    assert winners_curse(best, [(best, TARGET), (far, TARGET)]) is None


def test_a_choice_among_equals_is_said_in_a_warning():
    rng = np.random.default_rng(1)
    curves = [curve(f"s{i}", rng) for i in range(6)]
    best = lowest(curves, TARGET)
    (note,) = winners_curse(best, [(one, TARGET) for one in curves]).notes
    assert note.code == "winners_curse"
