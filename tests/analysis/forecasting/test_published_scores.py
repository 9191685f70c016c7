"""The figures of forecasts that the pages show are those of results/benchmarks/forecasts.json: every row of every table
on them, and the sentences of the README.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from bench_forecasts import NEAR_CHANCE, truncated

ROOT = Path(__file__).parents[3]
SCORES = json.loads((ROOT / "results" / "benchmarks" / "forecasts.json").read_text("utf-8"))
STUDIES = SCORES["studies"]["each"]
PAGE = "docs/believing-a-forecast.md"

PRIORS = (
    ("set by hand on these curves", SCORES["bank"]),
    ("learned without the task, from windows", SCORES["left_out"]["task"]["windows"]["all"]),
    ("learned without the model, from windows", SCORES["left_out"]["model"]["windows"]["all"]),
    ("learned without the task, from whole curves", SCORES["left_out"]["task"]["whole_curves"]["all"]),
    ("learned without the model, from whole curves", SCORES["left_out"]["model"]["whole_curves"]["all"]),
)


def rows_of_the_bank() -> list[str]:
    rows = [row(prior, way, *by_horizon(scores[key])) for key, way in WAYS for prior, scores in PRIORS]
    return [*rows, row("none: `--law power_floor`", "alone", *by_horizon(SCORES["bank"]["power_floor"]))]


WAYS = (("single", "alone"), ("pooled", "with the other models"))


def by_horizon(scores: dict) -> list[str]:
    return [f"{one['held']:.2f}, {one['bias']:+.3f}, {one['interval_score']:.3f}" for one in scores["horizons"]]


def rows_of_studies() -> list[str]:
    found = []
    for use in ("learned from", "judged"):
        for name in (name for name, scores in STUDIES.items() if scores["use"] == use):
            found.append(row(f"`{name}`", use, *scores_of_study(STUDIES[name])))
            if use == "judged":
                found.append(row("as first scored", use, *scores_of_study(first_scored(name))))
    return found


def first_scored(name: str) -> dict:
    """By the pooling that was fixed before the study was opened, and before repetition widened anything."""
    scores = SCORES["kept"]["pooling_of_six_curves"]["studies"]["each"][name]
    return scores.get("without_widening_for_repetition", scores)


def scores_of_study(scores: dict) -> list[str]:
    near, far = scores["horizons"]
    pairs = [f"{near[key]:{form}}, {far[key]:{form}}" for key, form in (("bias", "+.2f"), ("interval_score", ".2f"))]
    return [f"{scores['held']} of {scores['of']}", *pairs]


def rows_of_planted() -> list[str]:
    found = []
    for way, words in (("no_seeds", "names no seeds"), ("seeds", "names seeds")):
        held = [f"{part['mean']:.2f}, {part['smallest']:.2f}" for part in SCORES["planted"][way].values()]
        short = SCORES["planted"]["short"][way]
        each = [", ".join(f"{share:.2f}" for share in short[f"new_run_{what}"]) for what in ("held", "width_ratio")]
        found.append(row(words, *held, *each))
    return found


def rows_of_tables() -> list[str]:
    speech, isoflop = SCORES["tables"]["speech"], SCORES["tables"]["isoflop"]
    both = speech["default_where_power_floor_has_an_interval"]
    return [
        row("speech, four points fitted", "default", *score_of_table(both)),
        row("speech, four points fitted", "`power_floor`", *score_of_table(speech["power_floor"])),
        row("speech, all", "default", *score_of_table(speech["default"])),
        row("losses", "default", *score_of_table(isoflop["default"])),
        row("losses", "`power_floor`", *score_of_table(isoflop["power_floor"])),
    ]


def score_of_table(scores: dict) -> list[str]:
    (one,) = scores["horizons"]
    held = round(one["held"] * one["forecasts"])
    return [f"{held} of {one['forecasts']}", f"{one['bias']:+.3f}", f"{one['interval_score']:.3f}"]


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def rows_on(page: str) -> list[list[str]]:
    """The rows of each table of a page, without its head."""
    tables, lines = [], (ROOT / page).read_text("utf-8").splitlines()
    for i, line in enumerate(lines):
        if line.startswith("|---"):
            end = next((k for k in range(i + 1, len(lines)) if not lines[k].startswith("|")), len(lines))
            tables.append(lines[i + 1 : end])
    return tables


def test_the_page_shows_the_scores_that_were_measured_and_no_others():
    assert rows_on(PAGE) == [rows_of_the_bank(), rows_of_studies(), rows_of_planted(), rows_of_tables()]


def test_the_studies_own_page_shows_their_scores():
    *_, scores = rows_on("results/forecasting/README.md")
    assert scores == rows_of_studies()


def test_every_study_is_described_on_its_own_page():
    described, _ = rows_on("results/forecasting/README.md")
    names = {path.parent.name for path in (ROOT / "results" / "forecasting").glob("*/runs.jsonl")}
    assert {line.split("`")[1] for line in described} == names


def sentences_of_the_readme() -> list[str]:
    shipped, without = SCORES["bank"]["single"], SCORES["left_out"]["task"]["windows"]["all"]["single"]
    shares = [" %, ".join(f"{100 * one['held']:.0f}" for one in scores["horizons"]) for scores in (shipped, without)]
    judged = [name for name, scores in STUDIES.items() if scores["use"] == "judged"]
    first = [first_scored(name) for name in judged]
    worst = min(first, key=lambda one: one["held"] / one["of"])
    return [
        f"held {shares[0]} % of the measurements at 2, 4 and 10 times",
        f"{shares[1]} % by a prior learned without the task judged",
        f"{total('held', first)} of {total('of', first)} runs of the studies that set no prior",
        f"in the worst study {worst['held']} of {worst['of']}",
    ]


def total(what: str, scores: list[dict]) -> int:
    return sum(one[what] for one in scores)


@pytest.mark.parametrize("page", ["README.md", PAGE])
def test_the_summary_says_the_scores_that_were_measured(page):
    text = " ".join((ROOT / page).read_text("utf-8").split())
    assert [sentence for sentence in sentences_of_the_readme() if sentence not in text] == []


def test_the_page_says_how_low_forecasts_from_near_chance_came_out():
    horizons = SCORES["bank"]["single_near_chance"]["horizons"]
    low = " and ".join(", ".join(f"{100 * (1 - np.exp(one['bias'])):.0f} %" for one in horizons).rsplit(", ", 1))
    counts = " and ".join(", ".join(str(one["forecasts"]) for one in horizons).rsplit(", ", 1))
    sentence = (
        f"an error of {NEAR_CHANCE:g}, forecasts came out {low} too low at 2, 4 and 10 times ({counts} forecasts)"
    )
    assert sentence in " ".join((ROOT / PAGE).read_text("utf-8").split())


@pytest.mark.parametrize("name", ["en-digits-larger-encoder", "free-spoken-digits"])
def test_the_scores_are_of_the_code_as_it_is(name):
    """Where this fails, the method has changed: run tests/benchmarks/bench_forecasts.py, and fill the pages again."""
    asked = [one for _, _, asked in truncated(ROOT / "results" / "forecasting" / name / "runs.jsonl") for one in asked]
    for scores in STUDIES[name]["horizons"]:
        own = [np.log(value / truth) for horizon, truth, value, _ in asked if horizon == scores["horizon"]]
        assert np.mean(own) == pytest.approx(scores["bias"], abs=1e-4)
    assert sum(low <= truth <= high for _, truth, _, (low, high) in asked) == STUDIES[name]["held"]
