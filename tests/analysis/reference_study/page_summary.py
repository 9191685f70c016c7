"""The short answer to each of the five questions, for the first page of the study."""

import math
import textwrap
from collections.abc import Iterator, Sequence

from reference_study.comparisons import DEAF, NEGATIVE, REACHED, beside
from reference_study.formats import Answers, flops, pair, percent
from reference_study.laws import ROUNDED
from reference_study.page_answers import against_joint, of_joint
from reference_study.page_recipe import STRATEGIES, from_where, more_or_less, other_rates, seeds_at_top
from reference_study.page_simplified import enough
from reference_study.tables import DECADE, MAIN, RETUNED

from analysis.formatting import number

PAPER = {
    "cer_saved_of_the_paper": ("21.1 % of the CER", "cer_saved_interval", 0.211),
    "flops_saved_of_the_paper": ("49.9 % of the FLOPs", "flops_saved_interval", 0.499),
}
"""Its numbers in answers.json: in words, the interval that is held against each, and the number."""

ALIKE = 1e12
"""FLOPs that every study has spent, or nearly."""

LEADS = ("ahead", "behind")
OPEN = "open_by_counting"
WIDTH = 118


def summary(found: Answers) -> list[str]:
    """A paragraph for each question."""
    answers = {
        "What law, and do forecasts come true?": _laws(found),
        "When does encoder-first training pay?": _gains(found),
        "Where are the paper's two numbers reached?": _paper(found),
        "What would simpler comparisons have concluded?": _simpler(found),
        "Which small study would have been enough?": _designs(found.get("designs")),
    }
    numbered = enumerate(answers.items(), start=1)
    return "\n\n".join(f"{place}. **{title}** {' '.join(said)}" for place, (title, said) in numbered).split("\n")


def headline(found: Answers) -> list[str]:
    """What the study says in a paragraph, for the README of the project."""
    main = next(one for one in of_joint(found) if one["study"] == MAIN)
    state = next(one for one in found["studies"] if one["study"] == MAIN)
    top, registered = main["at_top"], found["registered"]["together"]
    runs = f"{state['trained_runs']} of {state['planned_runs']} runs, {seeds_at_top(main, state)} there"
    said = (
        f"On its main axis at {flops(main['top_budget_flops'])} FLOPs ({runs}) `efin` has {more_or_less(top)}, where "
        f"the paper has 21.1 % less. {verdicts(found)}{other_rates(found)}{_held(registered)}"
    )
    return textwrap.wrap(said, WIDTH, break_long_words=False, break_on_hyphens=False)


def verdicts(found: Answers) -> str:
    """Who is ahead at the largest budget of each place, and where below."""
    trained = of_joint(found)
    said = [one["at_top"]["verdict"] for one in trained]
    ahead = [f"{one['place']}, {more_or_less(one['at_top'])}" for one in trained if one["at_top"]["verdict"] == "ahead"]
    named = f" ({'; '.join(ahead)})" if ahead else ""
    deaf = f", at {said.count(DEAF)} one side does not hear yet" if DEAF in said else ""
    twice = (
        " (the main axis counts twice, with the rates of either search)"
        if RETUNED in {one["study"] for one in trained}
        else ""
    )
    return (
        f"At the largest budget trained, `efin` is ahead of `joint` at {said.count('ahead')} of {len(trained)} "
        f"places{twice}{named}, behind at {said.count('behind')}; at {said.count('open')} the "
        f"interval holds zero{deaf}.{_ahead_below(trained)}"
    )


def _ahead_below(trained: Sequence[Answers]) -> str:
    """Smaller budgets at which `efin` is ahead."""
    below = [
        f'"{one["place"]}" at {", ".join(flops(each["flops"]) for each in ahead)} FLOPs'
        for one in trained
        if (
            ahead := [
                each
                for each in one["budgets"]
                if each["verdict"] == "ahead" and each["flops"] < one["top_budget_flops"]
            ]
        )
    ]
    alone = [
        f'"{one["place"]}" at {flops(each["flops"])} FLOPs'
        for one in trained
        for each in one["budgets"]
        if _hears_alone(each)
    ]
    hears = f"; it alone hears the speech at {'; '.join(alone)}" if alone else ""
    return f" At smaller budgets it is ahead in these places: {'; '.join(below)}{hears}." if below else ""


def _hears_alone(said: Answers) -> bool:
    """Whether all runs of `efin` hear the speech, and none of `joint`."""
    (heard, runs), (others, _) = (said["hears"][name] for name in STRATEGIES)
    return heard == runs and others == 0


def _held(registered: Answers | None) -> str:
    if registered is None or not registered["pairs"]:
        return ""
    waiting = f"; {registered['waiting']} more wait for their runs" if registered["waiting"] else ""
    return (
        f" Of the forecasts that were written down before their runs, the 90 % interval holds "
        f"{registered['pairs_held']} of {registered['pairs']} (one for each curve and budget{waiting})."
    )


def _laws(found: Answers) -> Iterator[str]:
    known = [law for law in found["laws"] if law.get("exponent")]
    main = [law for law in known if law["study"] == MAIN]
    exponents = ", ".join(f"{_estimate(law['exponent'])} for `{law['strategy']}`" for law in main)
    floors = sum(law["floor"]["identified"] for law in known)
    if main:
        yield (
            f"Fitted with (y - E) / (1 - y)^a = A C^-b, the curves of the main axis have b {exponents}. They begin at "
            f"{flops(min(law['from_flops'] for law in main))} FLOPs, where the first runs hear the speech."
        )
    yield (
        f"An exponent is identified to a factor of two for {sum(law['exponent']['identified'] for law in known)} of "
        f"{len(known)} curves, a floor E for {floors}."
    )
    yield from _registered(found["registered"], of_joint(found))


def _registered(found: Answers, gains: Sequence[Answers]) -> Iterator[str]:
    said = found["together"]
    if said is None or not said["pairs"]:
        yield "No forecast that was registered has been held against runs yet."
        return
    waiting = f" ({said['waiting']} more wait for their runs)" if said["waiting"] else ""
    yield (
        f"Of {said['pairs']} forecasts registered before their runs{waiting}, one for each curve and budget, the 90 % "
        f"interval of one run holds the mean of the seeds of {said['pairs_held']}, and {said['runs_held']} of "
        f"{said['runs']} single runs{_of_main(found['studies'])}; the errors are "
        f"{number(said['truth_over_prediction'], 3)} times the medians, the interval score is "
        f"{number(said['interval_score'], 3)} in logs."
    )
    for miss in found["missed"]:
        yield (
            f"Missed: `{miss['strategy']}` of `{miss['study']}` at {flops(miss['flops'])} FLOPs, "
            f"{number(miss['truth'], 2)} "
            f"where {_estimate({'median': miss['cer'], 'interval': miss['interval']})} was said."
        )
    wrong, ratios = found["leaders"], found["truth_over_prediction_at_ten_times"]
    if wrong["budgets"] and len(ratios) == len(STRATEGIES):
        each = " and ".join(f"{number(ratio, 3)} times the median for `{name}`" for name, ratio in ratios.items())
        yield (
            f"What the misses teach: most intervals hold because they are wide. Medians named the wrong one of `efin` "
            f"and `joint` as ahead at {wrong['wrong']} of {wrong['budgets']} budgets{_of_told(wrong['named'], gains)}, "
            f"and ten times above the largest run the errors are {each}: do not choose a strategy by "
            f"medians that far away."
        )


def _of_main(studies: Answers) -> str:
    """The main axis among the forecasts, by either search of rates."""
    words = {MAIN: "the main axis", RETUNED: "the main axis with rates searched again"}
    said = [
        f"{words} {studies[name]['pairs_held']} of {studies[name]['pairs']}, {studies[name]['runs_held']} of "
        f"{studies[name]['runs']} runs"
        for name, words in words.items()
        if name in studies and studies[name]["pairs"]
    ]
    return f" ({'; '.join(said)})" if said else ""


def _of_told(named: Sequence[Answers], gains: Sequence[Answers]) -> str:
    """The same of the budgets at which the runs tell a lead."""
    told = {
        (*pair(one), float(each["budget_flops"]))
        for one in gains
        for each in one["budgets"]
        if each["verdict"] in LEADS
    }
    wrong = [one["wrong"] for one in named if (*pair(one), float(one["flops"])) in told]
    return f" ({sum(wrong)} of the {len(wrong)} at which the runs tell a lead)" if wrong else ""


def _estimate(said: Answers) -> str:
    low, high = (number(end, 2) for end in said["interval"])
    return f"{number(said['median'], 2)} [{low}, {high}]"


def _gains(found: Answers) -> Iterator[str]:
    trained = of_joint(found)
    if not trained:
        yield "Not trained yet."
        return
    yield verdicts(found)
    near = [min(one["budgets"], key=lambda each: abs(math.log(each["flops"] / ALIKE))) for one in trained]
    said = [each["verdict"] for each in near]
    yield (
        f"At the budget nearest to {flops(ALIKE)} FLOPs, where places can be compared, it is ahead at "
        f"{said.count('ahead')} "
        f"and behind at {said.count('behind')}."
    )
    all_said = [each["verdict"] for one in trained for each in one["budgets"]]
    told = sum(map(all_said.count, LEADS))
    judged = told + all_said.count("open")
    yield (
        f"Each interval stands for itself: {told} of {judged} comparisons at a place and budget exclude zero, where "
        f"one in ten would if the strategies were alike."
    )
    for one in trained:
        if one["study"] == MAIN:
            (state,) = (study for study in found["studies"] if study["study"] == MAIN)
            at = f"{flops(one['top_budget_flops'])} FLOPs ({seeds_at_top(one, state)} there)"
            yield (
                f"On the main axis at {at} `efin` has {more_or_less(one['at_top'])} by the fits."
                f"{from_where(one['budgets'])}{other_rates(found)}"
            )


def _paper(found: Answers) -> Iterator[str]:
    trained = of_joint(found)
    for field, (words, column, value) in PAPER.items():
        places = {
            one["place"]: [flops(each["flops"]) for each in one["budgets"] if _reached(each, column, value)]
            for one in trained
        }
        where = "; ".join(f'"{place}" at {" and ".join(at)} FLOPs' for place, at in places.items() if at)
        by_place = [[saving[field] for saving in one["at_top"]["currencies"]] for one in trained]
        charged = [said[0] for said in by_place]
        otherwise = sum(len(set(said)) > 1 for said in by_place)
        changed = f"changes this at {otherwise}" if otherwise else "changes none of this"
        reached = f"at {where}: there the whole interval lies above the paper's value" if where else "nowhere"
        yield (
            f"{words} are reached {reached}. At "
            f"the largest budget of each place they are reached at {charged.count(REACHED)} of {len(charged)}, and at "
            f"{charged.count(NEGATIVE)} the sign is the other way; counting executed or cache-credited FLOPs {changed}."
        )


def _reached(said: Answers, column: str, value: float) -> bool:
    interval = said[column]
    known = said["verdict"] != DEAF and not said["below_the_fits"] and interval is not None and interval[0] is not None
    return known and beside(interval, value) == REACHED


def _simpler(found: Answers) -> Iterator[str]:
    yield from _of_untuned(found["untuned"])
    yield from _of_six_nd(found["six_nd"])
    yield from _of_one_seed(found["single_seed"])


def _of_untuned(searches: Sequence[Answers]) -> Iterator[str]:
    asked = [one for one in searches if against_joint(one) and one["cer_saved_at_the_rule"] is not None]
    if asked:
        one = max(asked, key=lambda each: each["flops"])
        plain, best, chance = (one[name] for name in ("cer_saved_at_the_rule", "cer_saved_at_each_best", OPEN))
        within = chance is not None and max(abs(plain), abs(best)) < chance
        doubt = f"; both are less than the {percent(chance)} that counting alone leaves open on dev" if within else ""
        yield (
            f"Untuned, with the rule's rates for all, `efin` has {_unsigned(plain)} dev CER than `joint` at "
            f"{flops(one['flops'])} FLOPs; with each at its own best {_unsigned(best)} (one seed{doubt})."
        )


def _unsigned(saved: float) -> str:
    return f"{percent(abs(saved))} {'less' if saved >= 0.0 else 'more'}"


def _of_six_nd(comparisons: Sequence[Answers]) -> Iterator[str]:
    if comparisons:
        other = [one for one in comparisons if one["at_equal_flops"]["verdict"] != one["at_equal_six_nd"]["verdict"]]
        names = "; ".join(f"`{one['strategy']}` against `{one['against']}`, {one['place']}" for one in other)
        yield (
            f"At equal 6ND in place of equal FLOPs {len(other)} of {len(comparisons)} verdicts differ"
            f"{f' ({names})' if names else ''}."
        )


def _of_one_seed(found: Answers) -> Iterator[str]:
    fits, bare = found["with_fits"], found["by_two_runs"]
    if fits["decisions"]:
        right = fits["claims"] - fits["false"] - fits["contrary"]
        yield (
            f"Each seed was asked alone for every lead. By fits and intervals it tells {right} of the "
            f"{right + fits['contrary'] + fits['missed']} that all seeds tell, and {fits['false']} that they leave "
            f"open; by the lower of two runs it tells {bare['false']} of {bare['claims']} that they leave open."
        )


def _designs(whole: Answers | None) -> Iterator[str]:
    if whole is None:
        yield "Not known yet: fewer than four budgets are there."
    else:
        yield enough("For all decisions and forecasts at the largest budget", whole["enough"])
        yield from _of_the_two(whole)


def _of_the_two(whole: Answers) -> Iterator[str]:
    """The part that tells `efin` and `joint` apart, and the parts that never do."""
    part = whole["enough_for_the_two"]
    yield enough("To decide between `efin` and `joint` alone", part)
    if part is not None and part["share_of_the_whole"] < 1.0:
        yield f"Its forecasts, all at once, hold for {percent(part['forecasts_hold'], 0)} of its choices of seeds."
    far = [one for one in whole["designs"] if one["top_over_largest"] * ROUNDED >= DECADE]
    if far and not any(one["decides_the_two_alike"] for one in far):
        hold = [one["forecasts_hold"] for one in far]
        yield (
            f"No part that ends at a tenth of the largest budget or below decides so, though its forecasts hold for "
            f"{percent(min(hold), 0)} to {percent(max(hold), 0)} of the choices: the intervals are too wide to decide."
        )
