"""The page of the reference study says what its committed tables say: answers computed again, pages filled again.

Planted tables hold the parts that no table can show wrong: what a design costs, who counts as ahead, what is missing.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from reference_study.answers import QUESTIONS, answers
from reference_study.card import PARTS as OBJECTS
from reference_study.card import columns, fields
from reference_study.comparisons import beside, heard, verdict
from reference_study.designs import choices_of_budgets, spent
from reference_study.figure import draw
from reference_study.laws import registered
from reference_study.page import PAGES, PROJECT, answered, filled
from reference_study.page_answers import cell
from reference_study.page_recipe import from_where, more_or_less, rates
from reference_study.page_recipe import recipe as recipe_lines
from reference_study.page_simplified import best
from reference_study.page_summary import headline, summary, verdicts
from reference_study.recipe import recipe
from reference_study.simplified import agreement, at_multiple, counting, dev_characters, six_nd, untuned
from reference_study.tables import PARTS, RESULTS, ROOT, STUDIES, hearing, places, read_studies, table_of

from analysis.registering.record import FORECASTS_FILE
from analysis.registering.register import register
from scaling.errors import InputError
from scaling.ledger.records import RunRow
from scaling.speech.synthetic.corpus_files import HELD_OUT_UTTERANCES

ANSWERS = RESULTS / "answers.json"
trained = pytest.mark.skipif(not list(PARTS.glob("*.jsonl")), reason="no table of the reference study is committed yet")
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


@trained
def test_the_answers_rest_on_the_tables_that_are_there():
    """Where this fails, tables have come or the method has changed: run `make reference-answers`."""
    assert differing(QUICK) == []


@trained
@pytest.mark.slow
def test_every_answer_is_that_of_the_tables():
    assert differing(QUESTIONS) == []


def differing(questions: tuple[str, ...]) -> list[str]:
    """The parts of answers.json that come out otherwise when they are asked again."""
    said, found = json.loads(ANSWERS.read_text("utf-8")), answers(RESULTS, questions)
    return [part for part in found if not near(found[part], said.get(part))]


@trained
@pytest.mark.parametrize(
    ("file", "blocks"), [(ROOT / "README.md", PROJECT), *((RESULTS / name, PAGES[name]) for name in PAGES)]
)
def test_the_pages_say_the_answers_and_nothing_else(file: Path, blocks: tuple):
    page = file.read_text("utf-8")
    assert answered(page, blocks, json.loads(ANSWERS.read_text("utf-8"))) == page


def test_the_figure_is_drawn_in_every_format(folder: Path, found: dict, tmp_path: Path):
    assert {file.suffix for file in draw(folder, found)} == {".png", ".svg", ".pdf"}
    (tmp_path / "parts").mkdir()
    assert draw(tmp_path, found) == ()


def test_the_first_page_says_who_has_less_error_where_and_with_how_many_seeds(found: dict):
    said = " ".join(headline(found))
    assert "On its main axis at 1e13 FLOPs (24 of 96 runs, 2 of 2 seeds there)" in said
    assert "less CER than `joint`, where the paper has 21.1 % less" in said
    assert "ahead of `joint` at 1 of 1 places" in said
    behind = {"cer_saved": -0.25, "cer_saved_interval": [-0.4, -0.1]}
    assert more_or_less(behind) == "25.0 % [10.0, 40.0] more CER than `joint`"


def test_the_card_names_every_column_of_a_row():
    page = (RESULTS / "DATASET.md").read_text("utf-8")
    assert filled(page, {"columns": columns()}) == page
    named = {name for each in OBJECTS["A row"] for name, _, _ in fields(each)}
    assert named == {field.alias or name for name, field in RunRow.model_fields.items()}


@trained
def test_every_column_of_the_tables_is_on_the_card():
    named = {name for each in OBJECTS["A row"] for name, _, _ in fields(each)}
    rows = [json.loads(line) for part in PARTS.glob("*.jsonl") for line in part.read_text("utf-8").splitlines()]
    assert {name for row in rows for name in row} <= named


def test_a_page_without_a_place_for_an_answer_is_refused():
    with pytest.raises(ValueError, match="columns"):
        filled("nothing here", {"columns": ["| a |"]})


def row(strategy: str, budget: float, seed: int, cer: float, study: str = "reference") -> dict:
    """A row that a run of the study could have left."""
    node, charged = f"{strategy}-{budget:g}-{seed}", int(budget)
    stage = {"name": strategy, "objective": "llm", "trains": {"projector": 0.003}, "node": node, "flops": charged}
    return {
        "schema": "asr-scaling/run-1", "key": f"{study}-{node}", "study": study, "strategy": strategy, "seed": seed,
        "budget_flops": charged, "nodes": [node], "encoder": "mini-s", "llm": "mini-s", "train_hours": 36.0,
        "cluster": f"{strategy}{seed}", "status": "ok", "flops": charged, "executed_flops": int(1.1 * budget),
        "cache_credited_flops": charged, "cer": cer, "dev_cer": cer, "errors": int(1e4 * cer), "ref_chars": 10_000,
        "test_digest": study, "stages": [stage | {"audio_seconds": budget / 1e8}],
    }  # fmt: skip


BUDGETS = (1e11, 1e12, 3.2e12, 1e13)


def planted(strategy: str, budget: float, seed: int) -> float:
    """`efin` has a third less error than `joint` at every budget, and seeds differ by 1 %."""
    return {"efin": 0.2, "joint": 0.3, "frozen_encoder": 0.4}[strategy] * (budget / 1e11) ** -0.3 * (1 + 0.01 * seed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Tables of the main axis in two blocks, and none of the others."""
    folder = tmp_path_factory.mktemp("reference")
    (folder / "parts").mkdir()
    for seed in (0, 1):
        rows = [row(strategy, budget, seed, planted(strategy, budget, seed))
                for strategy in ("efin", "joint", "frozen_encoder") for budget in BUDGETS]  # fmt: skip
        write(folder / "parts" / f"reference-seed{seed}.jsonl", rows)
    prices = {"reference": {"mini-s + mini-s": {"llm": 2e8, "asr": 1e8}}}
    (folder / "six_nd.json").write_text(json.dumps(prices))
    return folder


@pytest.fixture(scope="module")
def found(folder: Path) -> dict:
    return answers(folder)


def write(file: Path, rows: list[dict]) -> None:
    file.write_text("".join(json.dumps(each) + "\n" for each in rows))


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


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        (["not heard", "open", "behind", "behind"], " It is behind from 3e12 FLOPs on; below that no lead is told."),
        (["ahead", "open", "behind", "behind"], ""),
        (["behind", "behind", "behind", "open"], ""),
    ],
)
def test_a_lead_is_told_from_the_budget_on_from_which_it_lasts(verdicts, said):
    budgets = [{"flops": (place + 1) * 1e12, "verdict": verdict} for place, verdict in enumerate(verdicts)]
    assert from_where(budgets) == said


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
    runs = [row("joint", budget, seed, 0.1) for budget in (100, 200, 400) for seed in (0, 1)]
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
    rows = [row(name, 1e11, seed, 0.5) | {"hears": hears} for seed, (name, hears) in enumerate(runs)]
    hears = hearing(table_of(rows), ("mini-s", "mini-s"), 1e11, ("efin", "joint"))
    assert hears == {"efin": [2, 2], "joint": [1, 3]}
    assert heard({"verdict": "ahead"}, hears)["verdict"] == "not heard"
    assert heard({"verdict": "ahead"}, hears | {"joint": [1, 2]})["verdict"] == "ahead"


@pytest.mark.parametrize(
    ("hears", "said"),
    [
        ({"efin": [2, 2], "joint": [0, 2]}, "not heard by `joint`"),
        ({"efin": [0, 2], "joint": [0, 2]}, "not heard"),
    ],
)
def test_who_does_not_hear_is_named_where_the_other_does(hears, said):
    one = heard({"verdict": "ahead", "cer_saved": 0.5, "cer_saved_interval": [0.4, 0.6], "below_the_fits": True}, hears)
    assert cell(one) == said
    both = {"hears": {"efin": [2, 2], "joint": [2, 2]}}
    at_top = one | both | {"flops": 1e12, "below_the_fits": False, "verdict": "ahead"}
    place = {"place": "a line", "study": "reference", "encoder": "s", "llm": "s", "top_budget_flops": 1e12}
    low = one | {"flops": 1e11}
    gain = {**place, "trained": True, "strategy": "efin", "against": "joint", "at_top": at_top}
    gains = [gain | {"budgets": [low, at_top | {"flops": 5e11}, at_top]}]
    told = verdicts({"gains": gains})
    assert ('"a line" at 5e11 FLOPs; it alone hears the speech at "a line" at 1e11 FLOPs.' in told) == (
        "`joint`" in said
    )


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


def test_a_changed_recipe_is_held_against_the_same_run(folder: Path, tmp_path: Path):
    main = read_studies(folder / "parts")["reference"]
    own = {row["strategy"]: row for row in main.table.rows if row["budget_flops"] == 1e12 and row["seed"] == 0}
    factors = {"batch-4x": {"efin": 0.5, "joint": 1.25}, "half-rates": {"efin": 1.1, "joint": 0.9}}
    for name, by_strategy in factors.items():
        again = [
            own[strategy] | {"dev_cer": factor * 0.1, "cer": factor * 0.2} for strategy, factor in by_strategy.items()
        ]
        elsewhere = own["efin"] | {"seed": 99}
        (tmp_path / f"{name}.jsonl").write_text("\n".join(json.dumps(one) for one in [*again, elsewhere]))
    for row in own.values():
        row |= {"dev_cer": 0.1, "cer": 0.2}
    found = {"recipe": recipe(tmp_path, main)}
    assert len(found["recipe"]) == 4
    assert recipe_lines(found) == [
        "* `efin`, seed 0, 1e12 FLOPs: 0.1 and 0.2; 0.05 and 0.1 with four times the batch; 0.11 and 0.22 with half of "
        "every rate.",
        "* `joint`, seed 0, 1e12 FLOPs: 0.1 and 0.2; 0.125 and 0.25 with four times the batch; 0.09 and 0.18 with half "
        "of every rate.",
    ]
    assert recipe_lines({"recipe": []}) == ["Not tried."]


def test_the_first_page_says_what_other_rates_do_to_the_main_axis(folder: Path, tmp_path: Path):
    shutil.copytree(folder / "parts", tmp_path / "parts")
    turned = {"efin": 1.5, "joint": 0.5}  # of the errors of the main axis: `joint` is ahead
    rows = [row(strategy, budget, seed, factor * planted(strategy, budget, seed), "reference_retuned")
            for strategy, factor in turned.items() for budget in BUDGETS for seed in (0, 1)]  # fmt: skip
    write(tmp_path / "parts" / "reference_retuned-seeds01.jsonl", rows)
    found = answers(tmp_path, ("studies", "gains", "registered"))
    said = " ".join(headline(found))
    assert "rates searched at 2.5e11 and 1e12 FLOPs, in place of rates searched at 4e10 and 1.6e11, take " in said
    assert (
        "at 1e13 FLOPs (2 of 2 seeds) from 0.0505 to 0.0757 for `efin` and from 0.0757 to 0.0379 for `joint`. There "
        "`efin` has 99.9 %" in said
    )
    assert "largest budget of a search" not in said
    search = {"flops": 1e12}
    said = " ".join(headline(found | {"untuned": [search]}))
    assert "At 1e12 FLOPs, the largest budget of a search, it has " in said
    assert "(the main axis counts twice, with the rates of either search)" in said
    assert "| 1e13 | 0.0505, 0.0757 | 33.3 % [30.5, 36.0]: ahead | 0.0757, 0.0379 | -" in rates(found)[-1]


def test_what_counting_leaves_open_is_that_of_two_counts(folder: Path):
    assert counting([0.1, 0.1], 2000) == pytest.approx(1.645 * (2 / 200) ** 0.5)
    assert counting([0.1, 0.1], None) is None
    studies = read_studies(folder / "parts")
    assert dev_characters(studies["reference"]) is None
    rows = [row("joint", 1e11, 0, 0.1) | {"n_utterances": 1000}]
    assert dev_characters(replace(studies["reference"], table=table_of(rows))) == 10 * HELD_OUT_UTTERANCES


def test_a_difference_that_counting_leaves_open_is_said_to_be_one(found: dict):
    search = {"flops": 1e12, "strategy": "efin", "against": "joint", "cer_saved_at_the_rule": -0.1}
    search |= {"cer_saved_at_each_best": 0.02, "open_by_counting": 0.15}
    said = " ".join(summary(found | {"untuned": [search]}))
    assert (
        "`efin` has 10.0 % more dev CER than `joint` at 1e12 FLOPs; with each at its own best 2.0 % less (one " in said
    )
    assert "both are less than the 15.0 % that counting alone leaves open on dev" in said
    assert "counting alone" not in " ".join(summary(found | {"untuned": [search | {"open_by_counting": 0.05}]}))


def test_a_value_of_the_paper_that_is_reached_nowhere_has_no_interval_above_it(found: dict, monkeypatch):
    assert "FLOPs: there the whole interval lies above the paper's value." in " ".join(summary(found))
    monkeypatch.setattr("reference_study.page_summary._reached", lambda *_: False)
    said = " ".join(summary(found))
    assert "21.1 % of the CER are reached nowhere. At the largest" in said
    assert "interval lies above" not in said


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
