"""The blocks of the page on questions 1 to 3: laws, forecasts, gains, and the paper's numbers."""

from collections.abc import Callable, Iterator, Sequence

from reference_study.comparisons import DEAF
from reference_study.formats import NOT_YET, Answers, flops, pair, percent, share, table
from reference_study.tables import BASELINE, ENCODER_FIRST

from analysis.formatting import number

CORES = 2
"""Of the machine that the study was set twelve hours of."""

FIRST_AXIS = "shift"
"""On this axis every two strategies are shown, on the others `efin` against `joint`."""


def state(found: Answers) -> list[str]:
    def cells(study: Answers) -> list[str]:
        largest = study["largest_trained_flops"]
        return [
            f"`{study['study']}`",
            f"{study['trained_runs']} of {study['planned_runs']}",
            NOT_YET if largest is None else f"{flops(largest)} of {flops(study['planned_top_flops'])}",
            str(study["seeds"]),
            flops(study["charged_flops"]),
        ]

    hours = sum(study["spent_hours"] for study in found["studies"]) / CORES
    return [
        *table(["study", "runs", "largest budget", "seeds", "FLOPs charged"], map(cells, found["studies"])),
        "",
        f"These runs trained for {number(hours, 2)} hours of two cores, stages that runs share once.",
    ]


def laws(found: Answers) -> list[str]:
    def cells(law: Answers) -> list[str]:
        said = [parameter(law.get("exponent"), number), parameter(law.get("floor"), number)]
        return [
            f"`{law['study']}`", f"`{law['strategy']}`", f"{law['encoder']} + {law['llm']}",
            f"{flops(law['from_flops'])} to {flops(law['to_flops'])}", *said,
            "-" if "noise_of_a_run" not in law else percent(law["noise_of_a_run"]),
        ]  # fmt: skip

    header = ["study", "strategy", "encoder + LLM", "FLOPs", "exponent b", "floor E", "scatter of a run"]
    return table(header, map(cells, found["laws"])) if found["laws"] else [f"No curve: {NOT_YET}."]


def parameter(said: Answers | None, form: Callable[..., str]) -> str:
    if said is None:
        return "no answer"
    low, high = (form(end, 2) for end in said["interval"])
    return f"{form(said['median'], 2)} [{low}, {high}]" if said["identified"] else f"not identified [{low}, {high}]"


def forecasts(found: Answers) -> list[str]:
    registered, hidden = found["registered"], found["hidden"]
    return [registered_sentence(registered), "", *hidden_table(hidden)]


def registered_sentence(registered: Answers) -> str:
    said = registered["together"]
    if not registered["lines"]:
        return "**Registered before their runs:** none yet."
    if said is None:
        return f"**Registered before their runs:** {registered['lines']}, all of tables that are not here."
    others = f" Of the rows that {registered['of_other_tables']} rest on, some have changed since."
    changed = others if registered["of_other_tables"] else ""
    start = f"**Registered before their runs:** {said['forecasts']}, of which {said['waiting']} wait for their runs"
    late = f" and {said['registered_late']} came too late to count" if said["registered_late"] else ""
    if not said["pairs"]:
        return f"{start}{late}.{changed}"
    return (
        f"{start}{late}. The 90 % interval of one run holds the geometric mean of the seeds of {said['pairs_held']} of "
        f"{said['pairs']} pairs of a curve and a budget, and {said['runs_held']} of {said['runs']} single runs; "
        f"interval score in logs {number(said['interval_score'], 3)}, truth over prediction "
        f"{number(said['truth_over_prediction'], 3)} (geometric means over pairs).{changed}"
    )


def hidden_table(hidden: Answers) -> list[str]:
    def cells(name: str, fitted: str, score: Answers) -> list[str]:
        held = [f"{score[f'{what}_held']} of {score[what]}" for what in ("pairs", "runs")]
        return [name, fitted, *held, number(score["interval_score"], 3), number(score["truth_over_prediction"], 3)]

    if not hidden["studies"]:
        return [f"The runs above a tenth of each study's largest budget, forecast from those below: {NOT_YET}."]
    rows = [cells(f"`{one['study']}`", flops(one["fitted_to_flops"]), one["score"]) for one in hidden["studies"]]
    header = ["study", "fitted to", "pairs held", "runs held", "interval score", "truth / prediction"]
    return table(header, iter([*rows, cells("all", "", hidden["together"])]))


def gains(found: Answers) -> list[str]:
    def cells(one: Answers) -> list[str]:
        head = [one["axis"], one["place"]]
        if not one["trained"]:
            return [*head, NOT_YET, "", "", ""]
        top = one["at_top"]
        budgets = f"{flops(one['top_budget_flops'])} of {flops(one['planned_top_flops'])}"
        saved = told(top)
        return [*head, f"`{one['strategy']}` against `{one['against']}`", budgets, saved, crossings(one["crossings"])]

    header = ["axis", "place", "strategies", "largest budget", "CER saved there", "curves cross at"]
    shown = [one for one in found["gains"] if not one["trained"] or one["axis"] == FIRST_AXIS or against_joint(one)]
    return table(header, map(cells, shown))


def crossings(found: Sequence[Answers]) -> str:
    if not found:
        return "nowhere up to ten times that"
    return "; ".join(crossing(one) for one in found)


def crossing(one: Answers) -> str:
    low, high = one["interval"]
    between = f"{'below the runs' if low is None else flops(low)} to {'no bound' if high is None else flops(high)}"
    beyond = "" if one["within_the_runs"] else ", beyond the runs"
    return f"{flops(one['at_flops'])} [{between}]{beyond}, then {one['then']}"


def budgets(found: Answers) -> list[str]:
    trained = [one for one in found["gains"] if one["trained"] and one["strategy"] == ENCODER_FIRST]
    every = sorted({each["flops"] for one in trained for each in one["budgets"]})

    def cells(one: Answers) -> list[str]:
        by_flops = {each["flops"]: each for each in one["budgets"]}
        return [one["place"], f"`{one['against']}`", *(cell(by_flops.get(budget)) for budget in every)]

    unique = {(*pair(one), one["against"]): one for one in reversed(trained)}
    return table(["place", "`efin` against", *map(flops, every)], map(cells, [*unique.values()][::-1]))


def cell(said: Answers | None) -> str:
    if said is None:
        return ""
    text = share(said["cer_saved"], said["cer_saved_interval"])
    if said["below_the_fits"] or said["verdict"] == DEAF:
        return unheard(said["hears"])
    return text if said["verdict"] == "open" else f"**{text}**"


def unheard(hears: Answers) -> str:
    """Which side does not hear, where the other one does."""
    deaf = [name for name, (hearing, runs) in hears.items() if 2 * hearing < runs]
    return f"{DEAF} by `{deaf[0]}`" if len(deaf) == 1 else DEAF


def told(said: Answers) -> str:
    """What is saved, and who is ahead."""
    if said["verdict"] == DEAF:
        return DEAF
    return f"{share(said['cer_saved'], said['cer_saved_interval'])}: {said['verdict']}"


def paper(found: Answers) -> list[str]:
    def rows() -> Iterator[list[str]]:
        for one in of_joint(found):
            for saving in one["at_top"]["currencies"]:
                yield [
                    one["place"], flops(one["top_budget_flops"]), saving["currency"],
                    share(saving["cer_saved"], saving["cer_saved_interval"]), saving["cer_saved_of_the_paper"],
                    share(saving["flops_saved"], saving["flops_saved_interval"]), saving["flops_saved_of_the_paper"],
                ]  # fmt: skip

    header = ["place", "at FLOPs", "counted", "CER saved", "21.1 % is", "FLOPs saved", "49.9 % is"]
    return table(header, rows())


def of_joint(found: Answers) -> list[Answers]:
    """`efin` against `joint` at every place that is trained, each once, in the order of the axes."""
    by_place: dict[tuple[str, str, str], Answers] = {}
    for one in found["gains"]:
        if one["trained"] and against_joint(one):
            by_place.setdefault(pair(one), one)
    return list(by_place.values())


def against_joint(gain: Answers) -> bool:
    return (gain["strategy"], gain["against"]) == (ENCODER_FIRST, BASELINE)
