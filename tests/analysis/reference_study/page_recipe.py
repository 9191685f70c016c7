"""The blocks of the page on the recipe: what other batches and rates do to the runs of the main axis."""

import math
from collections.abc import Iterator, Sequence

from reference_study.formats import Answers, flops, share, table
from reference_study.page_answers import against_joint, told
from reference_study.tables import BASELINE, ENCODER_FIRST, MAIN, RETUNED

from analysis.formatting import number

STRATEGIES = (ENCODER_FIRST, BASELINE)


def rates(found: Answers) -> list[str]:
    """The mean CERs at every budget that both searches have, and what `efin` saves with each of the rates."""
    both = by_recipe(found)
    if len(both) < 2:
        return ["Not trained yet."]
    at = {study: {each["budget_flops"]: each for each in one["budgets"]} for study, one in both.items()}

    def cells(budget: float) -> Iterator[str]:
        yield flops(budget)
        for study in (MAIN, RETUNED):
            said = at[study][budget]
            yield ", ".join(number(said["measured"][name], 3) for name in STRATEGIES)
            yield told(said)

    places = (both[study]["place"] for study in (MAIN, RETUNED))
    header = ["FLOPs", *(text for place in places for text in (f"CER of `efin`, `joint`: {place}", "CER saved"))]
    return table(header, (list(cells(budget)) for budget in sorted(at[MAIN].keys() & at[RETUNED].keys())))


def by_recipe(found: Answers) -> dict[str, Answers]:
    """`efin` against `joint` on the main axis by either search, by the name of the study."""
    gains = (one for one in found["gains"] if one["axis"] == "recipe" and one["trained"] and against_joint(one))
    return {one["study"]: one for one in gains}


def other_rates(found: Answers) -> str:
    """What becomes of the main axis with rates that were searched at larger budgets."""
    by_study = by_recipe(found)
    if RETUNED not in by_study:
        return ""
    retuned, main = by_study[RETUNED], by_study[MAIN]
    (state,) = (study for study in found["studies"] if study["study"] == RETUNED)
    budget = retuned["top_budget_flops"]

    before, now = (
        next(each["measured"] for each in one["budgets"] if math.isclose(each["budget_flops"], budget))
        for one in (main, retuned)
    )
    means = " and ".join(
        f"from {number(before[name], 3)} to {number(now[name], 3)} for `{name}`" for name in STRATEGIES
    )
    return (
        f" Rates change more than the strategy does: {retuned['place']} FLOPs, in place of {main['place']}, take "
        f"the mean CER at {flops(budget)} FLOPs ({seeds_at_top(retuned, state)}) {means}. There `efin` has "
        f"{more_or_less(retuned['at_top'])}.{from_where(retuned['budgets'])}{_where_searched(found, retuned)}"
    )


def _where_searched(found: Answers, retuned: Answers) -> str:
    """What is saved at the largest budget of the search, which lies below the largest of the study."""
    largest = max((one["flops"] for one in found.get("untuned", ())), default=None)
    at = [each for each in retuned["budgets"] if largest and math.isclose(each["budget_flops"], largest)]
    if not at or largest == retuned["top_budget_flops"]:
        return ""
    return (
        f" At {flops(largest)} FLOPs, the largest budget of a search, it has {more_or_less(at[0])} "
        f"({at[0]['verdict']}); which rates are best above it, nobody has searched."
    )


def recipe(found: Answers) -> list[str]:
    """A line for each run that was trained again with another batch or other rates: its CERs on dev and test."""
    if not found["recipe"]:
        return ["Not tried."]
    lines: dict[str, list[str]] = {}
    for one in found["recipe"]:
        run = f"`{one['strategy']}`, seed {one['seed']}, {flops(one['flops'])} FLOPs"
        own, again = (
            " and ".join(number(one[f"{name}{of}"], 3) for name in ("dev_cer", "cer")) for of in ("_of_the_study", "")
        )
        lines.setdefault(f"{run}: {own}", []).append(f"{again} with {one['change']}")
    return [f"* {own}; {'; '.join(again)}." for own, again in lines.items()]


def seeds_at_top(one: Answers, state: Answers) -> str:
    """How many of the seeds of a study have runs at the largest budget: 1 of 4 seeds."""
    return f"{min(runs for _, runs in one['at_top']['hears'].values())} of {state['seeds']} seeds"


def more_or_less(said: Answers) -> str:
    """What `efin` saves of the CER of `joint`, in words that need no sign: 9.8 % [3.3, 16.0] more CER than `joint`."""
    saved, (low, high) = said["cer_saved"], said["cer_saved_interval"]
    if saved >= 0.0:
        return f"{share(saved, (low, high))} less CER than `joint`"
    return f"{share(-saved, (-high, -low))} more CER than `joint`"


def from_where(budgets: Sequence[Answers]) -> str:
    """From which budget on the verdict is that of the largest, and up to which nobody is told to be ahead before."""
    ordered = sorted(budgets, key=lambda each: each["flops"])
    last = ordered[-1]["verdict"]
    start = len(ordered)
    while start and ordered[start - 1]["verdict"] == last:
        start -= 1
    if last not in ("ahead", "behind") or any(each["verdict"] in ("ahead", "behind") for each in ordered[:start]):
        return ""
    below = "; below that no lead is told" if start else ""
    return f" It is {last} from {flops(ordered[start]['flops'])} FLOPs on{below}."
