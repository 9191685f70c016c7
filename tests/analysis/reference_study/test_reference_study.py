"""The answers of the reference study are those of its committed tables, and of planted ones whose truth is known."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from reference_study.answers import QUESTIONS, answers
from reference_study.comparisons import beside, heard, verdict
from reference_study.designs import choices_of_budgets, spent
from reference_study.laws import registered
from reference_study.page import PAGES, answered
from reference_study.page_simplified import best
from reference_study.planted_study import BUDGETS, planted_row, write
from reference_study.simplified import agreement, at_multiple, counting, dev_characters, six_nd, untuned
from reference_study.tables import RESULTS, STUDIES, hearing, places, read_studies, table_of

from analysis.registering.record import FORECASTS_FILE
from analysis.registering.register import register
from scaling.errors import InputError
from scaling.speech.synthetic.corpus_files import HELD_OUT_UTTERANCES

QUICK = ("studies", "laws", "registered", "untuned")
"""What takes seconds; `make test-slow` asks everything."""
CLOSE = 5e-3
"""Numbers of another machine's linear algebra agree to this share."""


def near(found: object, expected: object) -> bool:
    """Whether two documents agree, numbers to `CLOSE` of the larger and of one in a thousand."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and found.keys() == expected.keys() and all(
            near(found[name], expected[name]) for name in expected)  # fmt: skip
    if isinstance(expected, list):
        return isinstance(found, list) and len(found) == len(expected) and all(map(near, found, expected))
    if isinstance(expected, float) and isinstance(found, float | int):
        return found == pytest.approx(expected, rel=CLOSE, abs=1e-3)
    return found == expected


def test_the_answers_rest_on_the_tables_that_are_there(published: dict):
    """Where this fails, tables have come or the method has changed: run `make reference-answers`."""
    assert differing(published, QUICK) == []


@pytest.mark.slow
def test_every_answer_is_that_of_the_tables(published: dict):
    assert differing(published, QUESTIONS) == []


def differing(published: dict, questions: tuple[str, ...]) -> list[str]:
    """The parts of the published answers that come out otherwise when they are asked again."""
    found = answers(RESULTS, questions)
    return [part for part in found if not near(found[part], published.get(part))]


def test_blocks_are_one_study_and_what_is_missing_is_said(found: dict):
    main, *others = found["studies"]
    assert (main["trained_runs"], main["seeds"], main["largest_trained_flops"]) == (24, 2, 1e13)
    assert {other["trained_runs"] for other in others} == {0}
    missing = [one["place"] for one in found["gains"] if not one["trained"]]
    assert len(missing) == 8
    page = answered((RESULTS / "TABLES.md").read_text("utf-8"), PAGES["TABLES.md"], found)
    assert page.count("not trained yet") >= len(missing)


def test_a_planted_gain_is_found_in_every_currency_at_every_budget(found: dict):
    gain = next(one for one in found["gains"] if one["trained"] and one["against"] == "joint")
    assert gain["at_top"]["verdict"] == "ahead"
    assert {each["verdict"] for each in gain["budgets"]} == {"ahead"}
    assert [each["currency"] for each in gain["at_top"]["currencies"]] == ["charged", "executed", "cache-credited"]
    for each in (gain["at_top"], *gain["at_top"]["currencies"], *gain["budgets"]):
        assert each["cer_saved"] == pytest.approx(1 / 3, abs=0.01)
        assert each["flops_saved"] == pytest.approx(1 - (2 / 3) ** (1 / 0.3), abs=0.03)
    assert gain["at_top"]["currencies"][0]["cer_saved_of_the_paper"] == "reached"
    assert gain["crossings"] == []


def test_the_planted_law_and_its_hidden_runs_are_found(found: dict):
    law = found["laws"][0]
    low, high = law["exponent"]["interval"]
    assert law["exponent"]["identified"]
    assert low < 0.3 < high
    hidden = found["hidden"]["together"]
    assert (hidden["pairs"], hidden["pairs_held"], hidden["runs"]) == (6, 6, 12)
    assert hidden["truth_over_prediction"] == pytest.approx(1.0, abs=0.15)


def test_a_single_seed_and_a_part_of_the_budgets_tell_so_plain_a_gain(found: dict):
    assert found["single_seed"]["by_two_runs"]["agree"] == found["single_seed"]["by_two_runs"]["decisions"] == 24
    enough = found["designs"]["enough"]
    assert enough["seeds"] == 1
    assert enough["share_of_the_whole"] < 0.3
    assert found["designs"]["enough_for_the_two"] == enough
    assert [each["spent_flops"] for each in best(found["designs"]["designs"])][-1] == found["designs"]["spent_flops"]


def leading(*wrong: bool) -> dict:
    """What is said of the leaders that were named at the upper budgets of the planted table."""
    of = {"study": "reference", "encoder": "mini-s", "llm": "mini-s"}
    named = [of | {"flops": flops, "wrong": one} for flops, one in zip(BUDGETS[2:], wrong, strict=False)]
    return {"budgets": len(wrong), "wrong": sum(wrong), "named": named}


def test_a_registered_forecast_belongs_to_the_study_that_it_lies_beside(folder: Path, tmp_path: Path):
    studies = read_studies(folder / "parts")
    below = [row for row in studies["reference"].table.rows if row["budget_flops"] <= 1e12]
    write(tmp_path / "runs.jsonl", below)
    assert len(register(tmp_path, [3.2e12, 1e13])) == 6
    found = registered(tmp_path, list(studies.values()))
    assert (found["lines"], found["of_other_tables"], found["together"]["pairs"]) == (6, 0, 6)
    assert found["together"]["pairs_held"] == 6
    assert (found["leaders"], found["missed"]) == (leading(False, False), [])
    assert found["truth_over_prediction_at_ten_times"] == pytest.approx({"efin": 1.0, "joint": 1.0}, abs=0.2)
    (tmp_path / "noisy").mkdir()
    (tmp_path / FORECASTS_FILE).rename(tmp_path / "noisy" / FORECASTS_FILE)
    elsewhere = registered(tmp_path, list(studies.values()))
    assert (elsewhere["lines"], elsewhere["together"]) == (6, None)


def test_a_forecast_that_missed_and_a_wrong_leader_are_named(folder: Path, tmp_path: Path):
    main = read_studies(folder / "parts")["reference"]
    write(tmp_path / "runs.jsonl", [row for row in main.table.rows if row["budget_flops"] <= 1e12])
    register(tmp_path, [3.2e12])
    for row in main.table.rows:  # what was ahead by a third falls far behind
        if (row["strategy"], row["budget_flops"]) == ("efin", 3.2e12):
            row["cer"] *= 10
    found = registered(tmp_path, [main])
    assert found["leaders"] == leading(True)
    (miss,) = found["missed"]
    assert (miss["study"], miss["strategy"], miss["flops"]) == ("reference", "efin", 3.2e12)
    assert miss["truth"] > miss["interval"][1] > miss["cer"]


def test_equal_six_nd_is_another_comparison(found: dict):
    (saved,) = [one for one in found["six_nd"] if one["against"] == "joint" and one["strategy"] == "efin"]
    assert saved["six_nd_over_charged"] == {"efin": pytest.approx(2.0), "joint": pytest.approx(2.0)}
    assert saved["at_equal_six_nd"]["cer_saved"] == pytest.approx(saved["at_equal_flops"]["cer_saved"], abs=0.01)


def test_a_contradiction_between_parts_is_refused_and_a_repetition_is_not(folder: Path, tmp_path: Path):
    first = json.loads((folder / "parts" / "reference-seed0.jsonl").read_text().splitlines()[0])
    write(tmp_path / "reference-a.jsonl", [first])
    write(tmp_path / "reference-b.jsonl", [first])
    assert read_studies(tmp_path)["reference"].trained_runs == 1
    write(tmp_path / "reference-b.jsonl", [first | {"cer": 0.5}])
    with pytest.raises(InputError, match=r"reference-b\.jsonl:1"):
        read_studies(tmp_path)
    write(tmp_path / "reference-b.jsonl", [first | {"study": "referense", "key": "another", "seed": 7}])
    with pytest.raises(InputError, match="referense"):
        read_studies(tmp_path)


def test_every_study_of_the_reference_has_its_places():
    studies = read_studies(Path("no such folder"))
    assert {place.study.name for place in places(studies)} == set(STUDIES)
    ratios = [float(place.label.split()[1]) for place in places(studies) if place.axis == "size"]
    assert ratios == sorted(ratios)
    assert len(ratios) == 4


def test_a_part_pays_for_its_own_trunks_alone():
    runs = [planted_row("joint", budget, seed, 0.1) for budget in (100, 200, 400) for seed in (0, 1)]
    assert spent(runs, cooldown=0.2) == 2 * (700 - 80 - 160)
    assert spent([one for one in runs if one["budget_flops"] != 200], cooldown=0.2) == 2 * (500 - 80)


def test_designs_end_at_every_budget_and_thin_out_from_the_largest():
    assert list(choices_of_budgets((1, 2, 3, 4, 5))) == [(1, 2, 3, 4, 5), (1, 3, 5), (1, 2, 3, 4), (1, 2, 3)]


@pytest.mark.parametrize(
    ("interval", "said", "place"),
    [
        ((0.25, 0.4), "ahead", "reached"),
        ((0.05, 0.3), "ahead", "possible"),
        ((-0.1, 0.1), "open", "short of it"),
        ((-0.4, -0.1), "behind", "the sign is the other way"),
        (None, "not known", "not known"),
    ],
)
def test_verdicts_follow_from_intervals(interval, said, place):
    assert (verdict(interval), beside(interval, 0.211)) == (said, place)


def test_nobody_is_ahead_where_one_side_does_not_hear():
    runs = ("efin", True), ("efin", None), ("joint", False), ("joint", True), ("joint", False)
    rows = [planted_row(name, 1e11, seed, 0.5) | {"hears": hears} for seed, (name, hears) in enumerate(runs)]
    hears = hearing(table_of(rows), ("mini-s", "mini-s"), 1e11, ("efin", "joint"))
    assert hears == {"efin": [2, 2], "joint": [1, 3]}
    assert heard({"verdict": "ahead"}, hears)["verdict"] == "not heard"
    assert heard({"verdict": "ahead"}, hears | {"joint": [1, 2]})["verdict"] == "ahead"


def test_claims_of_less_are_counted_by_how_they_fail():
    pairs = [("ahead", "ahead"), ("open", "ahead"), ("behind", "ahead"), ("ahead", "open"), ("open", "open")]
    assert agreement(pairs) == {"decisions": 5, "agree": 2, "claims": 3, "false": 1, "contrary": 1, "missed": 1}


def test_untuned_is_the_rule_s_rate_for_all_parts_at_the_rule_s_batch():
    trials = [
        {"multipliers": {"encoder": 1.0, "llm": 1.0, "batch": 0.25}, "dev_cer": 0.1},
        {"multipliers": {"encoder": 1.0, "llm": 3.0}, "dev_cer": 0.2},
        {"multipliers": {"encoder": 1.0, "llm": 1.0, "batch": 1.0}, "dev_cer": 0.3},
    ]
    assert at_multiple({"trials": trials}, 1.0) == 0.3
    assert at_multiple({"trials": trials}, 3.0) is None


def test_what_counting_leaves_open_is_that_of_two_counts(folder: Path):
    assert counting([0.1, 0.1], 2000) == pytest.approx(1.645 * (2 / 200) ** 0.5)
    assert counting([0.1, 0.1], None) is None
    studies = read_studies(folder / "parts")
    assert dev_characters(studies["reference"]) is None
    rows = [planted_row("joint", 1e11, 0, 0.1) | {"n_utterances": 1000}]
    assert dev_characters(replace(studies["reference"], table=table_of(rows))) == 10 * HELD_OUT_UTTERANCES


def test_the_rule_s_rates_are_found_in_a_search_that_began_elsewhere(tmp_path: Path):
    trials = [{"multipliers": dict.fromkeys(("encoder", "llm"), factor), "dev_cer": error}
              for factor, error in ((1.0, 0.2), (3.0, 0.4))]  # fmt: skip
    walks = [{"budget_flops": 1e12, "best": {"dev_cer": 0.2}, "trials": trials}]
    found = [{"strategy": strategy, "walks": walks} for strategy in ("efin", "joint")]
    document = {"schema": "asr-scaling/tuning-1", "study": "reference_retuned", "budgets_flops": [1e12], "found": found}
    (tmp_path / "search.json").write_text(json.dumps(document))
    (search,) = untuned(tmp_path)
    assert search["dev_cer_at_the_rule"] == [0.4, 0.4]
    assert search["dev_cer_at_each_best"] == [0.2, 0.2]


def test_six_nd_of_a_run_is_the_sum_over_its_stages():
    stages = [{"objective": "asr", "audio_seconds": 10.0}, {"objective": "llm", "audio_seconds": 2.0}]
    assert six_nd({"stages": stages}, {"asr": 3.0, "llm": 5.0}) == 40.0
