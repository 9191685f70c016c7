"""What every status and warning means, and what to do about it: the text of `explain` and of docs/glossary.md."""

from collections.abc import Iterable
from dataclasses import dataclass

from scaling.errors import InputError, nearest

FIT, RUN, STATE, WARNING = "status of a fit", "status of a run", "state of a run or stage", "warning"
"""What a code says something of."""

HOW_TO_ASK = "asr-scaling explain CODE"
"""How to come from a code in an answer to its meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GlossaryTerm:
    """A code as outputs have it, what it is of, what it means, and what to do (empty where nothing is to be done)."""

    code: str
    of: str
    meaning: str
    advice: str

    def as_text(self) -> str:
        """The term for a terminal."""
        return f"{self.code} ({self.of})\n  {self.meaning}" + (f"\n  {self.advice}" if self.advice else "")


def _terms(of: str, rows: Iterable[tuple[str, str, str]]) -> list[GlossaryTerm]:
    return [GlossaryTerm(code=code, of=of, meaning=meaning, advice=advice) for code, meaning, advice in rows]


TERMS = (
    *_terms(FIT, (
        ("ok", "The points identify every parameter of the law.", ""),
        ("at_bound", "The best floor of the law is zero: the runs show no error that compute cannot remove.",
         "Believe answers within the runs; larger budgets show a floor if there is one."),
        ("not_identified", "The points fit laws with very different parameters equally well.",
         "Add budgets, over at least two decades of FLOPs, or name a law with fewer parameters (`fit --law power`)."),
        ("too_few_points", "There are fewer budgets than the law needs, or just as many, which leaves no interval.",
         "Add budgets: four show a floor, and each more narrows the interval."),
        ("not_converged", "The search for the best parameters stopped early.",
         "Look for points that no law can hold (`fit` names outliers), or try another objective (`fit --loss`)."),
    )),
    *_terms(RUN, (
        ("ok", "The run reached its budget and was scored.", ""),
        ("diverged", "The loss became NaN or exploded. The run is final and is left out of fits.",
         "Lower the rates (`tune` searches them), or try again with other software (`run --retry-diverged`)."),
    )),
    *_terms(STATE, (
        ("done", "The stage is trained, and the run is scored.", ""),
        ("running", "A worker holds the stage and reports progress.", "Wait; `status --watch` follows it."),
        ("waiting", "No worker has taken the stage yet.", "Start `run` again if no worker is alive."),
        ("blocked", "The stage begins where another ends, and that one has failed.", "See why that one has failed."),
        ("failed", "The stage ended in an error or diverged.",
         "`status DIR` gives the cause; after it is mended, the same `run` command tries again."),
    )),
    *_terms(WARNING, (
        ("all_at_chance", "No run has learnt anything: every error is near that of a model that knows nothing.",
         "Spend more on each run, or raise the rates; a law of these points says nothing."),
        ("one_below_chance", "All budgets but one are at chance, so nothing shows how the error falls.",
         "Add larger budgets; an answer beyond the one that has learnt is a guess."),
        ("some_at_chance", "The smallest budgets have learnt next to nothing, where no power law holds.",
         "Leave them out with --where, or add larger budgets."),
        ("narrow_range", "The budgets span less than two decades of FLOPs.",
         "At least two are wanted, to see how fast the error falls: add smaller or larger budgets."),
        ("too_few_budgets", "A study of one or two budgets cannot show how the error falls.",
         "Name at least four in budgets_flops, half a decade apart; this is free to change before the study runs."),
        ("below_onset", "At this budget the LLM is not known to hear the speech: it may write fluent text beside it.",
         "Name larger budgets, or look whether the run hears (`status`, column `hears`) before you believe its error."),
        ("no_fall", "The error does not fall from the smallest budget to the largest.",
         "Look at the learning curves of the runs, and at their rates; a forecast from these points is a guess."),
        ("outlier", "A point lies far off any law of the kind and was set aside.",
         "Look at its run: a wrong test set, a bad rate or a mistyped number are usual causes."),
        ("failed_run", "A run is at chance while the others of its curve are not. It was set aside.",
         "Look at each of them, and train it again or add a seed."),
        ("not_hearing", "A run writes text that does not follow the speech yet. It was set aside.",
         "Spend more on each: `plan` warns of budgets that are known not to hear."),
        ("set_aside_effect", "What the answer would be with the runs that were set aside.",
         "Where it differs much, find out whether these runs failed by accident or belong to the method."),
        ("one_seed", "All runs have one seed; how far seeds differ is taken from other studies.",
         "Add seeds (`seeds: [0, 1]`): what exists is reused."),
        ("no_seed_variation", "The table names no seeds, so the answer is about this training going on.",
         "Add a column `seed`, and runs that repeat a budget with another seed."),
        ("one_trunk", "All budgets are cut from one training run of one seed, whose luck moves the whole curve.",
         "Add seeds."),
        ("one_model_size", "All runs of the curve have models of one size. Far beyond its runs such a model saturates.",
         "Run larger models before you believe a forecast far beyond the runs."),
        ("extrapolation_10x", "The question is over 10 times the largest fitted value.",
         "Believe the interval rather than a number; one larger run would tell more."),
        ("extrapolation_100x", "The question is over 100 times the largest fitted value.",
         "The law may not hold there: train something in between first."),
        ("below_data", "The question lies below the smallest fitted value.",
         "Add a smaller run, or ask within the runs."),
        ("below_test_resolution", "The predicted error is less than half an error in the whole test set.",
         "Use a larger test set: this one cannot tell such models apart."),
        ("repeated_data", "Runs passed over their audio more than four times, after which repetition helps less.",
         "Get more audio, or read the law as one of repeated data."),
        ("repeated_beyond_runs", "The budget would repeat the data more often than any run did.",
         "Get more audio for it: repetition helps less and less, and the interval is widened for the doubt."),
        ("audio_runs_out", "The recommended run passes over the audio that exists more than four times.",
         "Get more audio, or spend less."),
        ("gain_not_shown", "The interval of what the best division of a budget saves holds zero.",
         "Keep the division that you have, or run more of the divisions that look best."),
        ("hours_capped", "The best division would use more audio than there is.", "Get more audio."),
        ("undertuned", "Runs took a learning rate or a batch at the edge of the grid that was searched.",
         "Search further with `tune`: better values may lie beyond, and the curve may be too high."),
        ("tuned_far_below", "The largest budget is over ten times that at which rates and batches were searched.",
         "Run `tune` at larger budgets: the best batch may grow, and for one strategy more than for another."),
        ("unequal_tuning", "Two compared strategies were tuned by different searches.",
         "Give every strategy the same search with `tune` before you believe their difference."),
        ("unequal_tests", "Runs were scored on different test sets, so their errors share no scale.",
         "Choose runs of one test set with --where."),
        ("unequal_scoring", "Runs were scored by different rules, so their errors share no scale.",
         "Score all transcripts alike with `score --scoring NAME`."),
        ("sign_by_currency", "Which strategy is ahead depends on which FLOPs count: charged, executed or cached.",
         "Say which FLOPs you pay for, and read the line of that kind."),
        ("not_a_fraction", "Every error is above 2, which no error rate is as a fraction.",
         "Say where they are percentages: --columns y=NAME:percent."),
        ("not_ok", "A run that did not finish was left out.", "Finish it where you can."),
        ("no_error_rate", "A row has no finite error and was left out.", "Score its run where you can."),
        ("duplicate", "A run stands in the table twice and counts once.", "Remove one where it is a mistake."),
        ("zero_error", "A test without any error. Half an error is taken, because a law has no place for zero.",
         "Use a larger test set, or give the column ref_chars."),
        ("floor_at_zero", "The best floor of the law is zero: the runs show no error that compute cannot remove.",
         "Believe answers within the runs; larger budgets show a floor if there is one."),
        ("one_value", "All points have the same value of a column of the law, so its term means nothing.",
         "Vary it, or choose a law without it."),
        ("exponent_not_identified", "The interval of an exponent reaches the edge of what is searched.",
         "Add points, or choose a law with fewer parameters."),
        ("too_few_points", "There are too few points for a law, or for an interval.",
         "Add budgets: four show a floor, and each more narrows the interval."),
        ("not_converged", "The search for the best parameters stopped early.",
         "Look for points that no law can hold, or try another objective (`fit --loss`)."),
        ("interval_too_short", "Forecasts within the data fell outside their plain interval too often.",
         "Take the calibrated interval."),
        ("not_reached", "No curve reaches the wanted error within 100 times the FLOPs of its largest run.",
         "Ask for a higher error, or try larger models and more data."),
        ("runner_up", "The strategy and models that come second, and their predicted error.",
         "Where the two are close, choose by other reasons, or train both at one more budget."),
        ("winners_curse", "The best of several that the runs cannot tell apart looks better than it is.",
         "More seeds tell them apart."),
        ("lifetime_over_budget", "Recognition over the model's life costs more than all that can be spent.",
         "Spend more, or choose smaller models or fewer hours."),
        ("price", "The assumptions behind hours and dollars.",
         "Looks at dev add a ninth where a stage lasts over a minute, and decoding dev and test sets comes on top; "
         "`plan` counts both."),
        ("poor_price", "The cost of the runs is no simple function of their sizes.",
         "Take the best sizes as a direction rather than a number."),
        ("shares_not_identified", "Too few divisions of the budget over the stages were tried.",
         "Run strategies with other shares: {preset: efin, name: efin-long, shares: [...]}."),
        ("shares_at_edge", "The best division lies at the edge of those tried.", "Try divisions beyond it."),
        ("sizes_not_identified", "Too few sizes of encoder or LLM were tried.",
         "Run at least three sizes of each, or one for all runs."),
        ("size_at_edge", "The best size is the smallest or the largest tried.", "Try sizes beyond it."),
        ("valley_at_edge", "The best size of a budget lies at the edge of the sizes tried.", "Try sizes beyond it."),
    )),
)  # fmt: skip
"""Every status and warning, in the order of the page."""


STATUS_IN_WORDS = {
    "ok": "ok",
    "at_bound": "no floor seen",
    "not_identified": "not determined",
    "too_few_points": "too few budgets",
    "not_converged": "search stopped early",
}
"""What each status of a fit is called in answers for people."""

ADVICE = {term.code: term.advice for term in TERMS if term.of == WARNING}
"""What to do about each warning."""


def meaning_of_fit(status: str) -> str:
    """What a status of a fit means, and what to do about it, in a sentence or two."""
    term = next(term for term in TERMS if (term.of, term.code) == (FIT, status))
    return f"{term.meaning} {term.advice}".rstrip()


def explained(code: str | None) -> list[GlossaryTerm]:
    """The terms of a code, or all. Raises InputError for a code that there is not, with the nearest."""
    terms = [term for term in TERMS if code in (None, term.code)]
    if not terms:
        raise InputError(f"explain: no code {code!r}{nearest(code, {term.code for term in TERMS})}")
    return terms


def listed_codes() -> str:
    """The codes alone, those of a kind together."""
    kinds = [f"{of}: {', '.join(term.code for term in TERMS if term.of == of)}" for of in (FIT, RUN, STATE, WARNING)]
    return "\n".join([*kinds, f"({HOW_TO_ASK} says what one means, asr-scaling explain --all what all mean)"])


def glossary_page() -> str:
    """All terms as a Markdown page."""
    lines = [
        "# Statuses and warnings",
        "",
        f"Answers carry codes, such as `narrow_range`. `{HOW_TO_ASK}` says the same as this page, which is made from"
        " `analysis/glossary.py` by `asr-scaling explain --markdown`.",
    ]
    for of in (FIT, RUN, STATE, WARNING):
        lines += ["", f"## {of.capitalize()}", "", "| code | what it means | what to do |", "|---|---|---|"]
        lines += [f"| `{term.code}` | {term.meaning} | {term.advice} |" for term in TERMS if term.of == of]
    return "\n".join(lines) + "\n"
