"""The short answer to each of the five questions, for the first page of the study."""

import textwrap
from collections.abc import Iterator, Sequence

from reference_study.comparisons import DEAF, NEGATIVE, REACHED
from reference_study.formats import Answers, flops, share
from reference_study.page_answers import crossings, of_joint, registered_sentence
from reference_study.page_simplified import enough, recipe_sentence
from reference_study.tables import BASELINE, ENCODER_FIRST, MAIN

from analysis.formatting import number, percent

PAPER = {"cer_saved_of_the_paper": "21.1 % of the CER", "flops_saved_of_the_paper": "49.9 % of the FLOPs"}

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
        f"the paper has 21.1 % less. {_verdicts(found)}{recipe_sentence(found)}{_held(registered)}"
    )
    return textwrap.wrap(said, WIDTH, break_long_words=False, break_on_hyphens=False)


def _verdicts(found: Answers) -> str:
    trained = of_joint(found)
    verdicts = [one["at_top"]["verdict"] for one in trained]
    ahead = [f"{one['place']}, {more_or_less(one['at_top'])}" for one in trained if one["at_top"]["verdict"] == "ahead"]
    named = f" ({'; '.join(ahead)})" if ahead else ""
    deaf = f", at {verdicts.count(DEAF)} one side does not hear yet" if DEAF in verdicts else ""
    return (
        f"At the largest budget trained, `efin` is ahead of `joint` at {verdicts.count('ahead')} of {len(trained)} "
        f"places{named}, behind at {verdicts.count('behind')}; at {verdicts.count('open')} the "
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
    return f" At smaller budgets it is ahead in these places: {'; '.join(below)}." if below else ""


def _held(registered: Answers | None) -> str:
    if registered is None or not registered["pairs"]:
        return ""
    waiting = f"; {registered['waiting']} more wait for their runs" if registered["waiting"] else ""
    return (
        f" Of the forecasts that were written down before their runs, the 90 % interval holds "
        f"{registered['pairs_held']} of {registered['pairs']} (one for each curve and budget{waiting})."
    )


def seeds_at_top(one: Answers, state: Answers) -> str:
    """How many of the seeds of a study have runs at the largest budget: 1 of 4 seeds."""
    return f"{min(runs for _, runs in one['at_top']['hears'].values())} of {state['seeds']} seeds"


def more_or_less(said: Answers) -> str:
    """What `efin` saves of the CER of `joint`, in words that need no sign: 9.8 % [3.3, 16.0] more CER than `joint`."""
    saved, (low, high) = said["cer_saved"], said["cer_saved_interval"]
    if saved >= 0.0:
        return f"{share(saved, (low, high))} less CER than `joint`"
    return f"{share(-saved, (-high, -low))} more CER than `joint`"


def _laws(found: Answers) -> Iterator[str]:
    known = [law for law in found["laws"] if law.get("exponent")]
    identified = sum(law["exponent"]["identified"] for law in known)
    floors = sum(law["floor"]["identified"] for law in known)
    yield f"The exponent is identified for {identified} of {len(known)} curves, a floor for {floors}."
    yield registered_sentence(found["registered"])
    hidden = found["hidden"]["together"]
    if hidden is not None:
        yield (
            f"Of runs above a tenth of each largest budget, hidden from the fits, the interval holds "
            f"{hidden['pairs_held']} of {hidden['pairs']} pairs; the truth is "
            f"{number(hidden['truth_over_prediction'], 3)} times the forecast (geometric mean)."
        )


def _gains(found: Answers) -> Iterator[str]:
    trained = of_joint(found)
    if not trained:
        yield "Not trained yet."
        return
    yield _verdicts(found)
    for one in trained:
        if one["study"] == MAIN:
            (state,) = (study for study in found["studies"] if study["study"] == MAIN)
            at = f"{flops(one['top_budget_flops'])} FLOPs ({seeds_at_top(one, state)} there)"
            top = one["at_top"]
            yield (
                f"On the main axis at {at} `efin` has {more_or_less(top)}. "
                f"The curves cross: {crossings(one['crossings'])}.{recipe_sentence(found)}"
            )


def _paper(found: Answers) -> Iterator[str]:
    trained = of_joint(found)
    for field, number_of_the_paper in PAPER.items():
        by_place = [[saving[field] for saving in one["at_top"]["currencies"]] for one in trained]
        charged = [said[0] for said in by_place]
        otherwise = sum(len(set(said)) > 1 for said in by_place)
        yield (
            f"{number_of_the_paper} are reached at {charged.count(REACHED)} of {len(charged)} places; at "
            f"{charged.count(NEGATIVE)} the sign is the other way. Counted as executed or cache-credited FLOPs, "
            f"this is different at {otherwise} places."
        )


def _simpler(found: Answers) -> Iterator[str]:
    yield from _of_untuned(found["untuned"])
    yield from _of_six_nd(found["six_nd"])
    yield from _of_one_seed(found["single_seed"])


def _of_untuned(searches: Sequence[Answers]) -> Iterator[str]:
    asked = [one for one in searches if (one["strategy"], one["against"]) == (ENCODER_FIRST, BASELINE)]
    if asked:
        one = max(asked, key=lambda each: each["flops"])
        plain, best = one["cer_saved_at_the_rule"], one["cer_saved_at_each_best"]
        turned = ": the sign turns" if plain * best < 0.0 else ""
        yield (
            f"Untuned, with the rule's rates for all, `efin` saves {percent(plain)} of the dev CER of `joint` at "
            f"{flops(one['flops'])} FLOPs; with each at its own best {percent(best)}{turned} (one seed)."
        )


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
        yield (
            f"One seed with fits and intervals agrees with all seeds in {fits['agree']} of {fits['decisions']} "
            f"decisions and misses {fits['missed']}; the lower of two runs names a winner where all seeds leave it "
            f"open in {bare['false']} of {bare['claims']}."
        )


def _designs(whole: Answers | None) -> Iterator[str]:
    if whole is None:
        yield "Not known yet: fewer than four budgets are there."
    else:
        yield enough("For decision and forecasts at the largest budget", whole["enough"])
