"""Every number that the study's first page has outside of its markers is that of the tables, searches and settings.

What stands between markers is filled from answers.json, and tested beside this file.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable
from statistics import fmean

import pytest
from reference_study.simplified import Z_90
from reference_study.tables import AXES, RESULTS, ROOT
from scipy.stats import ttest_ind

from analysis.registering.record import FORECASTS_FILE
from scaling.speech.synthetic.corpus_files import HELD_OUT_UTTERANCES
from sweeps.study.study_file import read_study_file

PAGE = (RESULTS / "README.md").read_text("utf-8")
FILLED = r"<!-- (\w+) -->.*?<!-- end of \1 -->"
NOT_PROSE = rf"{FILLED}|`[^`]*`|\]\([^)]*\)"
WORDS = ["no", "one", "two", "three", "four"]
STRATEGIES = ("efin", "joint")


def rows(folder: str) -> list[dict]:
    """The lines of a table below the results of the study."""
    return [json.loads(line) for line in (RESULTS / folder).read_text("utf-8").splitlines()]


MAIN, RETUNED = rows("runs.jsonl"), rows("retuned/runs.jsonl")
SIDES = {axis: rows(f"{axis}/runs.jsonl") for axis in AXES}
SEARCHED, AGAIN = (
    json.loads((RESULTS / "tuning" / name).read_text("utf-8")) for name in ("tuning.json", "retuned.json")
)


def only(values: Iterable) -> object:
    """The one value among these."""
    (value,) = set(values)
    return value


def largest(table: list[dict]) -> str:
    """The largest budget of a table, as the page writes FLOPs."""
    return flops(max(row["budget_flops"] for row in table))


def flops(value: float) -> str:
    """FLOPs as the page writes them: 4e10."""
    return f"{value:.2g}".replace("e+", "e")


def batch(table: list[dict]) -> str:
    """The seconds of audio in each batch of a table."""
    return f"{only(stage['batch_audio_seconds'] for row in table for stage in row['stages']):g} s"


def hours(table: list[dict]) -> float:
    """The hours of speech that all runs of a table have."""
    return round(only(row["train_hours"] for row in table), 2)


def searched(search: dict) -> str:
    """The two budgets of a search."""
    return " and ".join(map(flops, search["budgets_flops"]))


def of_the_main_axis() -> list[str]:
    """What the page says of the main axis, with the earlier rates and with those searched again."""
    frozen = Counter(row["budget_flops"] for row in MAIN if row["strategy"] == "frozen_encoder")
    beyond = max(row["budget_flops"] for row in MAIN) / max(SEARCHED["budgets_flops"])
    dev_characters = HELD_OUT_UTTERANCES * MAIN[0]["ref_chars"] / MAIN[0]["n_utterances"]
    tables = (MAIN, RETUNED, *SIDES.values())
    registered = {line["flops"] for line in rows(f"retuned/{FORECASTS_FILE}")}
    return [
        f"has {WORDS[only(frozen[budget] for budget in sorted(frozen)[-2:])]} seed at the two largest budgets",
        f"were searched at {searched(SEARCHED)} FLOPs",
        f"have {beyond:.0f} times the larger of these",
        f"a CER of .05 is known to {100 * Z_90 / math.sqrt(0.05 * dev_characters):.0f} % by counting",
        f"searched again at {searched(AGAIN)} FLOPs: {AGAIN['points']} settings",
        f"batches of {batch(RETUNED)}",
        f"the {WORDS[len(registered)]} largest budgets were forecast",
        f"searches of rates spent {flops(SEARCHED['spent_flops'] + AGAIN['spent_flops'])} FLOPs besides, where these "
        f"runs spent {flops(sum(row['spent']['flops'] for table in tables for row in table))}",
        *of_the_rates_searched_again(),
    ]


def of_the_rates_searched_again() -> list[str]:
    """Who has the lower error by these rates where they were searched, and ten times above and below."""
    at, top = max(AGAIN["budgets_flops"]), max(row["budget_flops"] for row in RETUNED)
    efin, joint = (errors(RETUNED, strategy, at) for strategy in STRATEGIES)
    assert all(efin[seed] < joint[seed] for seed in joint)
    for other in (10 * at, at / 10):
        assert fmean(errors(RETUNED, "efin", other).values()) > fmean(errors(RETUNED, "joint", other).values())
    assert top == 10 * at
    low, high = more_by_seeds(*(errors(RETUNED, strategy, top) for strategy in STRATEGIES))
    more = mean_cer(RETUNED, "efin") / mean_cer(RETUNED, "joint") - 1
    saved = 1 - fmean(efin.values()) / fmean(joint.values())
    return [
        f"At {flops(at)} FLOPs, where these rates were searched",
        f"by {100 * saved:.1f} % of the means",
        f"At {flops(top)} the seeds differ more",
        f"say {100 * more:.0f} % [{100 * low:.0f}, {100 * high:.0f}] more CER",
        f"two recipes at {flops(top)}",
    ]


def errors(table: list[dict], strategy: str, budget: float) -> dict[int, float]:
    """The CER of each seed."""
    return {row["seed"]: row["cer"] for row in table if (row["strategy"], row["budget_flops"]) == (strategy, budget)}


def mean_cer(table: list[dict], strategy: str) -> float:
    """The mean over the seeds of a strategy's error at the largest budget."""
    return fmean(errors(table, strategy, max(row["budget_flops"] for row in table)).values())


def more_by_seeds(own: dict[int, float], others: dict[int, float]) -> list[float]:
    """The 90 % interval of how much more error one has than the other, by the seeds alone (Welch's, of logarithms)."""
    logs = [[math.log(error) for error in one.values()] for one in (own, others)]
    ends = ttest_ind(*logs, equal_var=False).confidence_interval(0.9)
    return [math.exp(end) - 1 for end in ends]


def of_the_side_axes() -> list[str]:
    """What the page says of the side axes and of the models."""
    counts = {len({row[of] for row in table}) for table in SIDES.values() for of in ("strategy", "seed")}
    tops = {axis: largest(table) for axis, table in SIDES.items()}
    speech = {hours(table) for axis, table in SIDES.items() if axis != "few_hours"}
    scale = only(model.lr_scale for model in read_study_file("reference_sizes", ()).fields.models)
    parts = ("encoder_params", "asr_decoder_params", "llm_params")
    most = max(sum(row[part] for part in parts) for table in (MAIN, *SIDES.values()) for row in table)
    english, telephone = tops.pop("english"), tops.pop("telephone")
    told = " and ".join(map(flops, _told_by_seeds("telephone")))
    assert hours(SIDES["few_hours"]) == 0.5
    assert most < 5e6
    return [
        f"{WORDS[only(counts)]} strategies, {WORDS[only(counts)]} seeds, {only(speech):g} hours of speech",
        "(the axis of hours half an hour)",
        f"of {only(tops.values())}, {english} (English) or {telephone} (telephone)",
        f"has {hours(MAIN):g} hours and {largest(MAIN)}",
        f"takes {scale:.2f} of".replace("0.", "."),
        f"a batch of {batch(SIDES['sizes'])}",
        "Minis of under five million parameters",
        f"differ at {told} FLOPs of the telephone line, and nowhere else",
    ]


def _told_by_seeds(axis: str) -> list[float]:
    """The budgets of this side axis at which seeds alone tell the strategies apart; on the others there are none."""
    told = {
        name: [budget for (_, budget), runs in sorted(by_point(table).items()) if apart(runs)]
        for name, table in SIDES.items()
    }
    assert [name for name, budgets in told.items() if budgets] == [axis]
    return told[axis]


def by_point(table: list[dict]) -> dict[tuple[str, float], list[dict]]:
    """The runs of each pair of models and budget."""
    found: dict[tuple[str, float], list[dict]] = {}
    for row in table:
        found.setdefault((f"{row['encoder']} + {row['llm']}", row["budget_flops"]), []).append(row)
    return found


def apart(runs: list[dict]) -> bool:
    """Whether the seeds of two strategies alone differ at a budget at which half of each or more hear the speech."""
    of_each = [[row for row in runs if row["strategy"] == strategy] for strategy in STRATEGIES]
    if any(2 * sum(row["hears"] for row in own) < len(own) for own in of_each):
        return False
    low, high = more_by_seeds(*({row["seed"]: row["cer"] for row in own} for own in of_each))
    return low > 0.0 or high < 0.0


@pytest.fixture(scope="module")
def prose() -> str:
    """The page without what is filled, without code and the targets of links, on one line."""
    return " ".join(re.sub(NOT_PROSE, "", PAGE, flags=re.DOTALL).split())


@pytest.mark.parametrize("said", [*of_the_main_axis(), *of_the_side_axes()])
def test_the_page_says_what_the_tables_say(prose: str, said: str):
    assert said in prose


def test_no_other_number_stands_in_the_prose(prose: str):
    for said in (
        "Intervals are 90 %",
        "the 90 % interval that was registered",
        *of_the_main_axis(),
        *of_the_side_axes(),
    ):
        prose = prose.replace(said, "")
    assert re.findall(r"\S*\d\S*", prose) == []


def test_curves_flatten_by_the_earlier_rates_alone():
    for table, least, most in ((MAIN, 0.85, 0.95), (RETUNED, 0.3, 0.6)):
        budgets = sorted({row["budget_flops"] for row in table})[-2:]
        for strategy in STRATEGIES:
            before, last = (fmean(errors(table, strategy, budget).values()) for budget in budgets)
            assert least < last / before < most


def test_changes_of_the_recipe_turn_the_order_on_dev_and_once_on_test(published: dict):
    by_change: dict[str, dict[str, dict]] = {}
    for one in published["recipe"]:
        by_change.setdefault(one["change"], {})[one["strategy"]] = one
    for of, turned in (("dev_cer", 3), ("cer", 1)):
        ahead = [each["efin"][of] < each["joint"][of] for each in by_change.values()]
        assert (len(ahead), sum(ahead)) == (3, turned)
        assert all(
            each["efin"][f"{of}_of_the_study"] > each["joint"][f"{of}_of_the_study"] for each in by_change.values()
        )


def test_the_guides_say_what_the_study_found(published: dict):
    registered = published["registered"]
    together, leaders = registered["together"], registered["leaders"]
    missed = [miss["cer"] / miss["truth"] for miss in registered["missed"] if miss["study"] == "reference_retuned"]
    left = [mean_cer(RETUNED, strategy) / mean_cer(MAIN, strategy) for strategy in STRATEGIES]
    believing, own_data = (
        " ".join((ROOT / "docs" / page).read_text("utf-8").split())
        for page in ("believing-a-forecast.md", "your-own-data.md")
    )
    assert f"{together['pairs_held']} of {together['pairs']} intervals held" in believing
    assert f"as ahead at {leaders['wrong']} of {leaders['budgets']} budgets" in believing
    assert f"both of its forecasts missed, {missed[0]:.1f} and {missed[1]:.1f} times too high" in believing
    assert "left a third of the error" in believing
    assert "left about three times the error" in own_data
    assert left == pytest.approx([1 / 3, 1 / 3], abs=0.05)
