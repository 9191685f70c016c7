"""The pages of the reference study say its answers: those committed, and those of a planted study."""

import json
import shutil
from pathlib import Path

import pytest
from reference_study.answers import answers
from reference_study.card import PARTS as OBJECTS
from reference_study.card import columns, fields
from reference_study.comparisons import heard
from reference_study.figure import draw
from reference_study.page import PAGES, PROJECT, answered, filled
from reference_study.page_answers import cell
from reference_study.page_recipe import from_where, more_or_less, rates
from reference_study.page_recipe import recipe as recipe_lines
from reference_study.page_summary import headline, summary, verdicts
from reference_study.planted_study import BUDGETS, planted, planted_row, write
from reference_study.recipe import recipe
from reference_study.tables import PARTS, RESULTS, ROOT, read_studies

from scaling.ledger.records import RunRow


@pytest.mark.parametrize(
    ("file", "blocks"), [(ROOT / "README.md", PROJECT), *((RESULTS / name, PAGES[name]) for name in PAGES)]
)
def test_the_pages_say_the_answers_and_nothing_else(file: Path, blocks: tuple, published: dict):
    page = file.read_text("utf-8")
    assert answered(page, blocks, published) == page


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


def test_every_column_of_the_tables_is_on_the_card():
    named = {name for each in OBJECTS["A row"] for name, _, _ in fields(each)}
    rows = [json.loads(line) for part in PARTS.glob("*.jsonl") for line in part.read_text("utf-8").splitlines()]
    assert {name for row in rows for name in row} <= named


def test_a_page_without_a_place_for_an_answer_is_refused():
    with pytest.raises(ValueError, match="columns"):
        filled("nothing here", {"columns": ["| a |"]})


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
    rows = [planted_row(strategy, budget, seed, factor * planted(strategy, budget, seed), "reference_retuned")
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
