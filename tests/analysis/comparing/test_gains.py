"""Comparisons in detail: pairs, shared floors, crossings, and the sampling of the test set."""

import json

import numpy as np
import pytest

import analysis
from analysis.comparing.compare import compare_all
from analysis.comparing.paired_seeds import correlation
from analysis.comparing.ratio import ProfileRatio, ranges, with_one_floor
from analysis.comparing.utterance_sampling import sampling_error
from analysis.curves.curve_fitting import fit_curves
from analysis.curves.fits_file import curves_of
from analysis.recommending.best_for_budget import recommend_for_flops
from analysis.tables.seed_averaged_points import points_of
from analysis.tables.table import read_table
from scaling.errors import InputError

FLOPS = np.geomspace(1e18, 1e21, 12)


def law(floor, amplitude, exponent):
    return lambda flops: floor + amplitude * (flops / 1e18) ** -exponent


def fitted(formula, seed, sigma=0.01):
    return analysis.fit(columns={"C": FLOPS}, y=formula(FLOPS) * noise(seed, sigma))


def noise(seed, sigma):
    return np.exp(sigma * np.random.default_rng(seed).standard_normal(len(FLOPS)))


def test_ranges_and_crossings_are_where_the_planted_curves_have_them():
    steep, shallow = law(0.04, 0.40, 0.4), law(0.04, 0.30, 0.3)
    found = ranges(ProfileRatio(first=fitted(steep, 1, 1e-4), second=fitted(shallow, 2, 1e-4)), 1e18, 1e21)
    crossing = 1e18 * (0.4 / 0.3) ** (1 / 0.1)
    assert found.crossings[0] == pytest.approx(crossing, rel=0.1)
    assert found.worse[0] == 1e18
    assert found.worse[1] < crossing < found.better[0]


def test_one_floor_for_both_is_the_floor_both_were_planted_with():
    first, second = fitted(law(0.05, 0.3, 0.35), 1), fitted(law(0.05, 0.4, 0.35), 2)
    ours, theirs = with_one_floor(first, second)
    assert ours.theta["E"] == theirs.theta["E"]
    assert ours.theta["E"] == pytest.approx(0.05, rel=0.1)
    separate = abs(first.theta["E"] - second.theta["E"])
    assert separate > 0


def paired_study(write_study, shared, own=0.01):
    luck = np.random.default_rng(0).standard_normal((9, 4))

    def pair(row):
        budget = round(np.log10(row["budget_flops"] / 1e11) / 2.5 * 8)
        return {**row, "cer": row["cer"] * float(np.exp(shared * luck[budget, row["seed"]]))}

    return write_study(budgets=9, seeds=4, noise=own, strategies=("efin", "joint"), change=pair)


def test_paired_seeds_shorten_the_interval_of_a_comparison(write_study):
    folder = paired_study(write_study, shared=0.06)
    curves, table = curves_of(folder), read_table(folder)
    (paired,), (unpaired,) = compare_all(curves, "joint", table=table), compare_all(curves, "joint")
    assert paired.details.pair_correlation > 0.8
    width = [ends[1] - ends[0] for ends in (paired.cer_reduction_interval, unpaired.cer_reduction_interval)]
    assert width[0] < 0.6 * width[1]


def test_unpaired_noise_has_no_correlation(write_study):
    folder = paired_study(write_study, shared=0.0, own=0.05)
    curves, table = curves_of(folder), read_table(folder)
    points, _ = points_of(table)
    efin, joint = (
        (curves.of(strategy=name)[0], tuple(point for point in points if point.strategy == name))
        for name in ("efin", "joint")
    )
    assert correlation(table, (efin, joint)) < 0.35


def test_intervals_for_all_strategies_together_are_wider(write_study):
    comparisons = compare_all(curves_of(write_study(noise=0.03)), "joint")
    assert len(comparisons) == 2
    for one in comparisons:
        alone, together = one.cer_reduction_interval, one.details.cer_reduction_simultaneous_interval
        assert together[0] < alone[0]
        assert alone[1] < together[1]


def test_another_test_of_the_same_kind_moves_a_comparison_by_its_sampling(write_study):
    folder = write_study(noise=0.01, seeds=1, strategies=("efin", "joint"))
    table = read_table(folder)
    rng, hard = np.random.default_rng(0), np.random.default_rng(1).gamma(2.0, 0.5, 60)
    (folder / "utterances").mkdir()
    for row in table.rows:
        lines = [
            {"test": "clean", "id": str(i), "speaker": None, "errors": int(rng.poisson(40 * row["cer"] * hard[i])),
             "ref_chars": 40, "hyp": "", "ref": ""}
            for i in range(60)
        ]  # fmt: skip
        (folder / "utterances" / f"{row['key']}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    curves, (points, _) = fit_curves(table), points_of(table)
    sides = [(curve, tuple(point for point in points if point.curve == curve.identity)) for curve in curves.curves]
    apart = sampling_error(table, (sides[0], sides[1]), 1e13)
    same = sampling_error(table, (sides[0], sides[0]), 1e13)
    assert same == pytest.approx(0.0, abs=1e-12)
    assert 0.005 < apart < 0.2
    (comparison,) = compare_all(curves, "joint", table=table)
    assert comparison.details.cer_reduction_test_sampling > 0
    damaged = folder / "utterances" / f"{table.rows[0]['key']}.jsonl"
    damaged.write_text('{"test": "clean", "id": "0", "errors": "many"}\n')
    with pytest.raises(InputError, match=r"jsonl:1: errors is 'many'; expected a whole number"):
        sampling_error(table, (sides[0], sides[1]), 1e13)


@pytest.mark.parametrize(
    ("column", "code"), [("test_digest", "unequal_tests"), ("scoring", "unequal_scoring"), ("flop_convention", None)]
)
def test_sides_that_share_no_scale_are_not_compared_in_silence(write_study, column, code):
    folder = write_study(strategies=("efin", "joint"), change=lambda row: {**row, column: f"as {row['strategy']}"})
    curves, table = curves_of(folder), read_table(folder)
    if code is None:
        with pytest.raises(InputError, match="count FLOPs differently"):
            compare_all(curves, "joint", table=table)
        with pytest.raises(InputError, match="count FLOPs differently"):
            recommend_for_flops(curves, table, 1e13)
    else:
        (comparison,) = compare_all(curves, "joint", table=table)
        assert code in {note.code for note in comparison.warnings}
        assert code in {note.code for note in recommend_for_flops(curves, table, 1e13).warnings}
        assert code not in {note.code for curve in curves.curves for note in curve.notes}
